use super::super::rights::tests::project;
use super::*;
use crate::domain::promotion::gate::managed::tests::rules;
use crate::domain::promotion::ports::reviews::Requirement;

struct Scene {
    ground: Ground,
    requirements: Requirements,
    rules: Rules,
}

/// A project of these rights below a root without any.
fn scene(lines: &[&str]) -> Scene {
    Scene {
        ground: Ground {
            rights: vec![project("ml", lines), project("All-Projects", &[])],
            copied: BTreeMap::new(),
            whole_topic: Some(false),
        },
        requirements: Requirements::default(),
        rules: rules("prod", 1, "leads"),
    }
}

fn look(scene: &Scene) -> Hardening {
    open(&Branch {
        ground: &scene.ground,
        requirements: &scene.requirements,
        rules: &scene.rules,
    })
}

fn kinds(scene: &Scene) -> Vec<HoleKind> {
    look(scene).holes.iter().map(|hole| hole.kind).collect()
}

#[test]
fn every_right_that_gets_around_review_is_a_hole_of_its_own() {
    for (line, kind) in [
        ("refs/heads/* push leads", HoleKind::DirectPush),
        ("refs/heads/prod delete leads", HoleKind::BranchReplacement),
        ("refs/* submit leads", HoleKind::SubmitOnPush),
        ("refs/for/* submit leads", HoleKind::SubmitOnPush),
        ("refs/meta/config owner leads", HoleKind::OwnedRules),
        ("refs/meta/config push leads", HoleKind::OwnedRules),
        (
            "refs/heads/* labelAs-Code-Review leads -2..+2",
            HoleKind::VoteForOthers,
        ),
        ("GLOBAL_CAPABILITIES runAs leads", HoleKind::VoteForOthers),
        ("refs/heads/* submitAs leads", HoleKind::SubmitForOthers),
        ("refs/heads/* forgeAuthor leads", HoleKind::ForgedIdentity),
        ("refs/for/* pushMerge leads", HoleKind::PushedMerges),
        ("refs/heads/prod deleteChanges leads", HoleKind::DeletedChanges),
    ] {
        let scene = scene(&[line]);
        assert_eq!(kinds(&scene), [kind], "{line}");
        let hole = look(&scene).holes.remove(0);
        assert_eq!(hole.who.len(), 1, "{line}");
        assert!(hole.who[0].starts_with("leads (") && !hole.fix.is_empty());
    }
    assert_eq!(
        kinds(&scene(&["refs/heads/* push leads force"])),
        [HoleKind::DirectPush, HoleKind::ForcedPush]
    );
    assert_eq!(kinds(&scene(&["refs/* owner leads"])), [HoleKind::OwnedRules]);
}

#[test]
fn what_reviewers_and_checks_need_is_no_hole() {
    let closed = scene(&[
        "refs/heads/* label-Code-Review leads -2..+2",
        "refs/heads/* label-Verified ci -1..+1",
        "refs/heads/* submit leads",
        "refs/for/* push engineers",
        "refs/for/* addPatchSet engineers",
        "refs/heads/other push leads",
        "refs/heads/* labelAs-Other leads -1..+1",
    ]);
    assert_eq!(look(&closed), Hardening::default());
}

#[test]
fn a_vote_that_outlives_what_it_approved_is_a_hole_where_patch_sets_can_be_added() {
    let copied = |condition: &str, lines: &[&str]| {
        let mut scene = scene(lines);
        scene.ground.copied.insert("Code-Review".into(), condition.into());
        kinds(&scene)
    };
    let adds = ["refs/for/* addPatchSet global:Registered-Users"];
    for (condition, lasts) in [
        (
            "changekind:NO_CHANGE OR changekind:TRIVIAL_REBASE OR is:MIN",
            false,
        ),
        (
            "(changekind:NO_CODE_CHANGE) OR (is:MAX AND changekind:TRIVIAL_REBASE)",
            false,
        ),
        ("is:ANY", true),
        ("changekind:REWORK", true),
        ("changekind:NO_CHANGE OR is:MAX", true),
        ("has:unchanged-files", true),
    ] {
        let expected: &[HoleKind] = if lasts { &[HoleKind::LastingVotes] } else { &[] };
        assert_eq!(copied(condition, &adds), expected, "{condition}");
    }
    assert_eq!(copied("is:ANY", &[]), []);
}

#[test]
fn requirements_that_can_be_lifted_or_redefined_are_holes() {
    let mut scene = scene(&[]);
    scene.rules.required.insert("Reviewed".into());
    let requirement = |override_if: Option<&str>, children_may_override| Requirement {
        submittable_if: "label:Code-Review=MAX".into(),
        override_if: override_if.map(str::to_owned),
        children_may_override,
        ..Requirement::default()
    };
    let mut with = |requirement: Requirement, own: bool, allowed: bool| {
        scene.requirements.all = vec![("Reviewed".into(), requirement.clone())];
        scene.requirements.own = own
            .then(|| ("Reviewed".to_owned(), requirement))
            .into_iter()
            .collect();
        scene.rules.allow_overridden = allowed.then(|| "Reviewed".to_owned()).into_iter().collect();
        kinds(&scene)
    };
    let overridable = requirement(Some("hashtag:urgent"), false);
    assert_eq!(
        with(overridable.clone(), true, false),
        [HoleKind::OverridableRequirement]
    );
    assert_eq!(with(overridable, true, true), []);
    let redefinable = requirement(None, true);
    assert_eq!(
        with(redefinable.clone(), false, false),
        [HoleKind::RedefinableRequirement]
    );
    // It is the project's own: nothing below it is governed.
    assert_eq!(with(redefinable, true, false), []);
}

#[test]
fn what_is_hidden_is_not_taken_for_closed() {
    let mut scene = scene(&[]);
    scene.ground.rights[1].visible = false;
    scene.ground.whole_topic = None;
    let seen = look(&scene);
    let unseen: Vec<&str> = seen.unseen.iter().map(|unseen| unseen.what.as_str()).collect();
    assert_eq!(
        unseen,
        [
            "access rights of All-Projects",
            "change.submitWholeTopic of the server"
        ]
    );
    assert_eq!(seen.saying().status, None);
    scene.ground.whole_topic = Some(true);
    assert_eq!(kinds(&scene), [HoleKind::WholeTopics]);
}
