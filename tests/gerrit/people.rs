//! Accounts: by which words they are found, and what inactive ones may be.

use std::sync::Arc;

use jiff::Timestamp;
use lockstep::clients::gerrit::GerritSystem;
use lockstep_core::domain::access::grant::System;
use lockstep_core::domain::plan::Change;
use lockstep_core::domain::ports::{AccessSystem as _, SystemErrorKind};

use super::corner::{corner_or_skip, member, members, subjects};
use super::server::{Granted, Now, plain};

#[tokio::test]
async fn inactive_accounts_are_known_and_can_be_removed_but_not_added() {
    let c = corner_or_skip!();
    let (ada, bob) = (c.account("ada").await, c.account("bob").await);
    let (target, _) = c.create("team", &[&ada, &bob]).await;
    c.deactivate(&ada).await;
    let system = System::Gerrit(c.server.clone());
    let directory = c.system.directory(&system, Timestamp::now()).await.unwrap();
    assert!(!directory.get(&ada).unwrap().active);
    assert!(directory.get(&bob).unwrap().active);
    let mut change = Change::new(target.clone(), "team");
    change.remove = [member(&ada)].into();
    c.apply(&change).await.unwrap();
    assert_eq!(members(&*c.see(&target).await), subjects(&[&bob]));
    std::mem::swap(&mut change.add, &mut change.remove);
    assert_eq!(c.apply(&change).await.unwrap_err().kind, SystemErrorKind::Refused);
    c.delete(&target).await.unwrap();
    c.deactivate(&bob).await;
}

#[tokio::test]
async fn people_are_found_by_their_exact_address_and_aliases_are_joined() {
    let c = corner_or_skip!(|settings| settings.page = 2);
    let (ada, admin) = (c.account("ada").await, c.account("ada.admin").await);
    let (plain_email, admin_email) = (
        format!("{}@example.com", ada.name),
        format!("{}@example.com", admin.name),
    );
    let system = System::Gerrit(c.server.clone());
    let directory = c.system.directory(&system, Timestamp::now()).await.unwrap();
    let found: Vec<_> = directory
        .by_email(&plain_email.to_uppercase())
        .map(|a| a.principal.clone())
        .collect();
    assert_eq!(found.as_slice(), std::slice::from_ref(&ada));
    assert_eq!(directory.by_email(&format!("{}@example.co", ada.name)).count(), 0);
    assert_eq!(directory.by_username(&admin.name).unwrap().principal, admin);

    let mut settings = plain(&c.url, &c.admin.0, &c.admin.1);
    settings.aliases = vec![(admin_email.clone(), vec![ada.name.clone(), admin.name.clone()])];
    let joined = GerritSystem::new(settings, Arc::new(Granted), Arc::new(Now), None).unwrap();
    let directory = joined.directory(&system, Timestamp::now()).await.unwrap();
    let found: Vec<_> = directory
        .by_email(&admin_email)
        .map(|a| a.principal.clone())
        .collect();
    assert_eq!(found.as_slice(), std::slice::from_ref(&ada));
    for who in [&ada, &admin] {
        c.deactivate(who).await;
    }
}
