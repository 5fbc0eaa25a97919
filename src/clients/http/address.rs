//! Where calls may go at all. An object of a tenant may name any host, so the operator's own machine and the
//! metadata services of clouds are refused, by name, by literal address, and again by every address a name means.

use std::error::Error;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use reqwest::Url;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use url::Host;

/// The address must not be called.
#[derive(Debug)]
pub struct Refused(String);

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
impl Error for Refused {}

/// What is known about a base URL before anybody is asked.
#[derive(Clone, Debug)]
pub(super) struct Place {
    host: String,
    /// Whether the URL itself names this machine.
    pub loopback: bool,
    allow_loopback: bool,
}

/// Host, with the port unless it is the scheme's own.
pub fn host_and_port(url: &Url) -> String {
    let host = url.host_str().unwrap_or_default();
    url.port()
        .map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"))
}

/// Judges a base URL by what it says.
pub(super) fn check(url: &Url, allow_loopback: bool) -> Result<Place, String> {
    if !url.username().is_empty() || url.password().is_some() {
        return Err("the URL must not contain a user or a password".into());
    }
    if url.query().is_some() || url.fragment().is_some() {
        return Err("the URL must not contain a query or a fragment".into());
    }
    let (host, loopback) = match url.host() {
        Some(Host::Domain(name)) => {
            let name = name.trim_end_matches('.').to_lowercase();
            let local = name == "localhost" || name.ends_with(".localhost");
            (name, local)
        }
        Some(Host::Ipv4(address)) => (address.to_string(), is_loopback(address.into())),
        Some(Host::Ipv6(address)) => (address.to_string(), is_loopback(address.into())),
        None => return Err("the URL names no host".into()),
    };
    if let Ok(address) = host.parse() {
        judge(&host, address, allow_loopback).map_err(|refused| refused.0)?;
    }
    match url.scheme() {
        "https" => {}
        "http" if loopback && allow_loopback => {}
        "http" => {
            return Err(
                "plain http is refused: it shows the credential to everybody on the way; use https".into(),
            );
        }
        other => return Err(format!("the scheme {other} is not https")),
    }
    if loopback && !allow_loopback {
        return Err(LOOPBACK.into());
    }
    Ok(Place {
        host,
        loopback,
        allow_loopback,
    })
}

const LOOPBACK: &str =
    "the host is this machine itself, which is refused unless the operator runs with --allow-loopback";

fn judge(host: &str, address: IpAddr, allow_loopback: bool) -> Result<(), Refused> {
    if is_metadata(address) {
        return Err(Refused(format!(
            "{host} means the link-local address {address}, as metadata services have; it is never called"
        )));
    }
    if is_loopback(address) && !allow_loopback {
        return Err(Refused(LOOPBACK.into()));
    }
    Ok(())
}

/// An IPv4 address in IPv6 clothes is judged as what it is.
fn plain(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V6(v6) => v6.to_ipv4_mapped().map_or(address, IpAddr::V4),
        IpAddr::V4(_) => address,
    }
}

/// The unspecified address reaches this machine too.
fn is_loopback(address: IpAddr) -> bool {
    let address = plain(address);
    address.is_loopback() || address.is_unspecified()
}

/// Link-local, and the one metadata address of AWS that is not.
fn is_metadata(address: IpAddr) -> bool {
    const AWS_V6: Ipv6Addr = Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254);
    const ALIBABA: Ipv4Addr = Ipv4Addr::new(100, 100, 100, 200);
    match plain(address) {
        IpAddr::V4(v4) => v4.is_link_local() || v4 == ALIBABA,
        IpAddr::V6(v6) => v6.is_unicast_link_local() || v6 == AWS_V6,
    }
}

/// Resolves names as the system does and judges every address before any is connected to, so that a name that
/// changes its meaning between check and use gains nothing.
#[derive(Debug)]
pub(super) struct Guard(Place);

impl Guard {
    pub fn new(place: Place) -> Self {
        Self(place)
    }
}

impl Resolve for Guard {
    fn resolve(&self, name: Name) -> Resolving {
        let place = self.0.clone();
        Box::pin(async move {
            let host = name.as_str().trim_end_matches('.').to_lowercase();
            let found: Vec<SocketAddr> = tokio::net::lookup_host((name.as_str(), 0)).await?.collect();
            // A proxy of the environment is the operator's own choice and may well run beside it.
            if host == place.host {
                for address in &found {
                    judge(&host, address.ip(), place.allow_loopback)?;
                    if place.loopback && !is_loopback(address.ip()) {
                        return Err(Refused(format!("{host} does not mean this machine")).into());
                    }
                }
            }
            Ok(Box::new(found.into_iter()) as Addrs)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn verdict(url: &str, allow_loopback: bool) -> Result<(), String> {
        check(&Url::parse(url).unwrap(), allow_loopback).map(|_| ())
    }

    #[test]
    fn only_https_leaves_the_machine() {
        assert_eq!(verdict("https://gerrit.example.com/r/", false), Ok(()));
        assert!(verdict("http://gerrit.example.com", false).is_err());
        assert!(verdict("http://gerrit.example.com", true).is_err());
        assert!(verdict("ftp://gerrit.example.com", true).is_err());
        assert!(verdict("https://user:pw@gerrit.example.com", true).is_err());
        assert!(verdict("https://gerrit.example.com/?x=1", true).is_err());
    }

    #[test]
    fn this_machine_needs_the_flag_under_all_its_names() {
        for host in [
            "localhost",
            "x.localhost",
            "127.0.0.1",
            "127.1.2.3",
            "[::1]",
            "0.0.0.0",
            "[::ffff:127.0.0.1]",
        ] {
            for scheme in ["http", "https"] {
                let url = format!("{scheme}://{host}:8080/");
                assert!(verdict(&url, false).is_err(), "{url}");
                assert_eq!(verdict(&url, true), Ok(()), "{url}");
            }
        }
    }

    #[test]
    fn metadata_services_are_never_called() {
        for host in [
            "169.254.169.254",
            "[fe80::1]",
            "[::ffff:169.254.169.254]",
            "[fd00:ec2::254]",
            "100.100.100.200",
        ] {
            let url = format!("https://{host}/");
            assert!(verdict(&url, true).is_err(), "{url}");
        }
    }

    #[tokio::test]
    async fn a_name_is_judged_by_what_it_means() {
        let place = Place {
            host: "localhost".into(),
            loopback: false,
            allow_loopback: false,
        };
        let found = Guard::new(place).resolve("localhost".parse().unwrap()).await;
        assert!(found.is_err_and(|error| error.is::<Refused>()));
    }
}
