use super::*;
use crate::config::Profile;

fn profile() -> Profile {
    Profile::load(&crate::env::Env::from_process(), Some("default")).unwrap()
}

fn image(id: &str, needs: &[&str]) -> ImageWork {
    ImageWork {
        id: format!("image/{id}"),
        title: format!("build {id}"),
        why: "not in the engine".to_owned(),
        needs: needs.iter().map(|n| format!("image/{n}")).collect(),
    }
}

#[test]
fn from_nothing_everything_is_made() {
    let observed = Observed {
        images: vec![
            image("go", &[]),
            image("node", &["go"]),
            image("kind", &["go"]),
            image("kafka", &[]),
        ],
        reasons: vec!["no container registry answers: images are built from packages".to_owned()],
        ..Observed::default()
    };
    insta::assert_snapshot!(build(&profile(), &observed, false).to_text());
}

#[test]
fn a_schema_registry_waits_for_nothing_but_cluster_and_image() {
    let mut profile = profile();
    assert!(
        build(&profile, &Observed::default(), false)
            .step(ids::SCHEMA_REGISTRY)
            .is_none()
    );
    profile.schema_registry.enabled = true;
    let plan = build(&profile, &Observed::default(), false);
    let step = plan.step(ids::SCHEMA_REGISTRY).unwrap();
    assert_eq!(
        (step.title.as_str(), step.action),
        ("schema registry 3.0.9", Action::Create)
    );
    assert_eq!(step.needs, [ids::CLUSTER, ids::LOAD]);
}

#[test]
fn what_is_up_is_kept() {
    let ready = |id: &str| (id.to_owned(), ComponentState::Ready("seen".to_owned()));
    let observed = Observed {
        cluster: ClusterState::Usable { current_image: true },
        missing_in_node: Some(Vec::new()),
        components: [ids::CERT_MANAGER, ids::OPERATOR, ids::KAFKA, ids::SESSION]
            .map(ready)
            .into(),
        ..Observed::default()
    };
    let plan = build(&profile(), &observed, false);
    assert!(plan.is_noop(), "{}", plan.to_text());
    insta::assert_snapshot!(plan.to_text());
}

#[test]
fn what_drifted_is_brought_back_and_what_is_slow_is_waited_for() {
    let observed = Observed {
        cluster: ClusterState::Usable { current_image: false },
        missing_in_node: Some(vec!["apache/kafka:4.1.1".to_owned()]),
        components: [
            (
                ids::CERT_MANAGER.to_owned(),
                ComponentState::Ready("answers".to_owned()),
            ),
            (
                ids::OPERATOR.to_owned(),
                ComponentState::Drifted("ConfigMap flink-operator-config differs".to_owned()),
            ),
            (
                ids::KAFKA.to_owned(),
                ComponentState::NotReady("pod kafka-0 is Pending".to_owned()),
            ),
        ]
        .into(),
        ..Observed::default()
    };
    insta::assert_snapshot!(build(&profile(), &observed, false).to_text());
}

#[test]
fn a_half_made_cluster_is_removed_before_anything_touches_the_node() {
    let observed = Observed {
        cluster: ClusterState::HalfMade,
        ..Observed::default()
    };
    let plan = build(&profile(), &observed, true);
    for id in [ids::CREATE, ids::CLUSTER, ids::LOAD] {
        assert!(plan.step(id).unwrap().needs.contains(&ids::CLEAN.to_owned()), "{id}");
    }
    assert!(
        plan.step(ids::OPERATOR)
            .unwrap()
            .needs
            .contains(&ids::CERT_MANAGER.to_owned()),
        "the webhook needs certificates"
    );
}

#[test]
fn a_stopped_node_is_started_and_not_made_anew() {
    let observed = Observed {
        cluster: ClusterState::Stopped,
        ..Observed::default()
    };
    let plan = build(&profile(), &observed, false);
    assert_eq!(plan.step(ids::CLUSTER).unwrap().action, Action::Start);
    for id in [ids::CLEAN, ids::KIND, ids::CREATE] {
        assert!(plan.step(id).is_none(), "{id}");
    }
    // what a node holds that does not run is not known, and that is not "nothing is missing"
    for id in [ids::LOAD, ids::LOAD_SESSION] {
        assert_eq!(plan.step(id).unwrap().action, Action::Await, "{id}");
    }
}

#[test]
fn what_runs_from_an_image_that_is_made_anew_is_brought_to_it() {
    let ready = |id: &str| (id.to_owned(), ComponentState::Ready("seen".to_owned()));
    let observed = Observed {
        cluster: ClusterState::Usable { current_image: true },
        missing_in_node: Some(Vec::new()),
        images: vec![image("session", &[])],
        components: [ids::CERT_MANAGER, ids::OPERATOR, ids::KAFKA, ids::SESSION]
            .map(ready)
            .into(),
        ..Observed::default()
    };
    let plan = build(&profile(), &observed, false);
    for (id, action) in [
        (ids::LOAD, Action::Update),
        (ids::LOAD_SESSION, Action::Update),
        (ids::SESSION, Action::Update),
        (ids::KAFKA, Action::Keep),
        (ids::OPERATOR, Action::Keep),
    ] {
        assert_eq!(plan.step(id).unwrap().action, action, "{id}");
    }
}

#[test]
fn every_need_names_a_step_before_it() {
    let clusters = [
        ClusterState::Absent,
        ClusterState::Stopped,
        ClusterState::HalfMade,
        ClusterState::Usable { current_image: true },
    ];
    for cluster in clusters {
        let observed = Observed {
            cluster,
            images: vec![image("node", &[])],
            ..Observed::default()
        };
        let plan = build(&profile(), &observed, true);
        let mut seen: Vec<&str> = Vec::new();
        for step in &plan.steps {
            for need in step.needs.iter().map(String::as_str).filter(|n| *n != ids::CLEAN) {
                assert!(seen.contains(&need), "{} needs {need}, which is not before it", step.id);
            }
            seen.push(&step.id);
        }
    }
}
