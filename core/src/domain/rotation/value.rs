//! A secret value, on its way from the issuer into stores. It lives in memory only, is wiped when it goes, and has no way
//! into a log, a status or an event: nothing prints or serialises it.

use std::collections::BTreeMap;

use hmac::{Hmac, KeyInit as _, Mac as _};
use secrecy::{ExposeSecret as _, SecretString};
use sha2::{Digest as _, Sha256};

use super::machine::state::Fingerprint;

/// A secret value. Neither `Debug` nor `Display` nor `Serialize`, so that nothing that holds one can be printed either.
#[derive(Clone)]
pub struct Value(SecretString);

/// Keys of a store's entry with what stands under them, every one as secret as the next.
pub type Fields = BTreeMap<String, Value>;

impl Value {
    pub fn new(value: String) -> Self {
        Self(SecretString::from(value))
    }

    /// For the one call that needs it. What comes of it must not outlive the call.
    pub fn expose(&self) -> &str {
        self.0.expose_secret()
    }

    /// The same in the type that logins take.
    pub fn secret(&self) -> SecretString {
        self.0.clone()
    }

    /// Whether both are the same, in a time that says nothing of where they differ.
    pub fn is(&self, other: &Self) -> bool {
        Sha256::digest(self.expose()) == Sha256::digest(other.expose())
    }
}

impl From<SecretString> for Value {
    fn from(value: SecretString) -> Self {
        Self(value)
    }
}

/// Makes fingerprints of values that nobody can try values against who has not the key.
pub struct FingerprintKey(SecretString);

impl FingerprintKey {
    pub fn new(key: SecretString) -> Self {
        Self(key)
    }

    /// `hmac-sha256:` and the first 16 bytes in hex: enough to tell two values apart, nothing to tell a value by.
    pub fn fingerprint(&self, value: &Value) -> Fingerprint {
        // HMAC takes keys of any length.
        let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(self.0.expose_secret().as_bytes()) else {
            return Fingerprint(String::new());
        };
        mac.update(value.expose().as_bytes());
        let mac = mac.finalize().into_bytes();
        Fingerprint(format!("hmac-sha256:{}", hex::encode(&mac[..16])))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::rotation::ports::issuers::{Credential, Minted};
    use crate::domain::rotation::ports::stores::Contents;

    /// Holds for a type if and only if it has none of the traits that could print or serialise it: with one of them two
    /// implementations fit, and this file does not compile.
    macro_rules! cannot_be_printed {
        ($($held:ty),*) => { $( const _: fn() = || {
            trait Silent<Which> { fn holds() {} }
            impl<T: ?Sized> Silent<()> for T {}
            struct Debugged;
            impl<T: ?Sized + std::fmt::Debug> Silent<Debugged> for T {}
            struct Displayed;
            impl<T: ?Sized + std::fmt::Display> Silent<Displayed> for T {}
            struct Serialised;
            impl<T: ?Sized + serde::Serialize> Silent<Serialised> for T {}
            <$held as Silent<_>>::holds();
        }; )* };
    }

    cannot_be_printed!(
        Value,
        Fields,
        FingerprintKey,
        Minted,
        Credential,
        Contents,
        Option<Value>
    );

    #[test]
    fn a_fingerprint_is_that_of_the_standard() {
        // RFC 4231, test case 2.
        let key = FingerprintKey::new("Jefe".to_owned().into());
        let value = Value::new("what do ya want for nothing?".into());
        assert_eq!(
            key.fingerprint(&value),
            Fingerprint("hmac-sha256:5bdcc146bf60754e6a042426089575c7".into())
        );
    }

    #[test]
    fn other_values_and_other_keys_give_other_fingerprints() {
        let (one, other) = (Value::new("one".into()), Value::new("other".into()));
        let key = FingerprintKey::new("key".to_owned().into());
        let key_2 = FingerprintKey::new("key 2".to_owned().into());
        assert!(one.is(&one.clone()) && !one.is(&other));
        assert_ne!(key.fingerprint(&one), key.fingerprint(&other));
        assert_ne!(key.fingerprint(&one), key_2.fingerprint(&one));
    }
}
