//! Where programs and images come from.

use super::{builds, missing_images};
use crate::config::{ImageSource, Profile};
use crate::diag::Reason;
use crate::doctor::engine::BASE_IMAGE;
use crate::doctor::finding::{Cure, Finding};
use crate::doctor::fix::Action;
use crate::doctor::network::Reach;
use crate::doctor::probe::Facts;
use crate::doctor::tools::{KIND, Tools, kind_version};

pub(super) fn kind(tools: &Tools) -> Finding {
    const TITLE: &str = "kind";
    let own = || match &tools.own_kind {
        Some(path) => format!("dev uses its own, {}", path.display()),
        None => "dev builds its own when it is needed".to_owned(),
    };
    let Some((path, told)) = &tools.kind else {
        return Finding::ok("kind", TITLE, format!("not on the PATH: {}", own()));
    };
    let seen = format!("{} ({told})", path.display());
    match kind_version(told) {
        Some(version) if version >= KIND => Finding::ok("kind", TITLE, seen),
        Some(_) => {
            let evidence = format!("{seen} is older than {}.{}: {}", KIND.0, KIND.1, own());
            Finding::warn("kind", TITLE, evidence)
        }
        None => Finding::warn("kind", TITLE, format!("{seen}: {}", own())),
    }
}

/// `debootstrap`, which makes the first image where not even that can be pulled.
pub(super) fn debootstrap(facts: &Facts, profile: &Profile) -> Finding {
    const TITLE: &str = "debootstrap";
    if let Some(path) = &facts.tools.debootstrap {
        return Finding::ok("debootstrap", TITLE, path.display().to_string());
    }
    if facts.engine().is_some_and(|e| e.images.contains(BASE_IMAGE)) || !builds(facts, profile) {
        return Finding::ok("debootstrap", TITLE, "not needed: the images to build on are there");
    }
    if profile.images.source == ImageSource::Auto && matches!(facts.registry(), Some(Reach::Reached(_))) {
        return Finding::ok("debootstrap", TITLE, "not needed: images can be pulled");
    }
    let host = &facts.host;
    let evidence =
        format!("debootstrap is missing: without it `{BASE_IMAGE}` cannot be made, and it can hardly be pulled");
    if host.macos {
        return Finding::fail("debootstrap", TITLE, evidence, Reason::ToolMissing).with(Cure::by_hand(
            "brings the image that all others are built on",
            format!("docker pull {BASE_IMAGE}"),
        ));
    }
    let command = format!("{}apt-get install --no-install-recommends debootstrap", host.sudo());
    let cure = Cure::by_action(
        host.curable(),
        "installs debootstrap",
        command,
        vec![Action::Install("debootstrap")],
    );
    // while the engine is down nobody knows yet whether the image can be pulled
    let finding = match facts.registry() {
        None => Finding::warn("debootstrap", TITLE, evidence),
        Some(_) => Finding::fail("debootstrap", TITLE, evidence, Reason::ToolMissing),
    };
    finding.with(cure)
}

pub(super) fn container_registry(facts: &Facts, profile: &Profile) -> Finding {
    const TITLE: &str = "Container registry";
    let unreached = match facts.registry() {
        None => {
            return Finding::ok(
                "container-registry",
                TITLE,
                "not checked: it is asked through the engine",
            );
        }
        Some(Reach::Reached(seen) | Reach::NotChecked(seen)) => return Finding::ok("container-registry", TITLE, seen),
        Some(Reach::Unreached(why)) => why,
    };
    let seen = format!("no image can be pulled ({unreached})");
    if !missing_images(facts, profile) {
        return Finding::ok(
            "container-registry",
            TITLE,
            format!("{seen}; the images are there already"),
        );
    }
    match profile.images.source {
        ImageSource::Packages => Finding::ok(
            "container-registry",
            TITLE,
            format!("{seen}; not needed: images are built"),
        ),
        ImageSource::Auto => Finding::warn(
            "container-registry",
            TITLE,
            format!("{seen}: images are built from packages, once"),
        ),
        ImageSource::Registry => {
            Finding::fail("container-registry", TITLE, seen, Reason::ImageUnavailable).with(Cure::by_hand(
                "builds the images, or names a mirror that answers (`images.mirror`)",
                "images.source: auto",
            ))
        }
    }
}

pub(super) fn package_registries(facts: &Facts, profile: &Profile) -> Finding {
    const TITLE: &str = "Package registries";
    let told: Vec<String> = facts
        .packages
        .iter()
        .map(|p| match &p.reach {
            Reach::Reached(seen) => format!("{}: {seen}", p.client),
            Reach::Unreached(why) => format!("{}: not reached ({why})", p.client),
            Reach::NotChecked(_) => format!("{}: not checked", p.client),
        })
        .collect();
    let evidence = told.join("; ");
    let silent = facts.packages.iter().any(|p| matches!(p.reach, Reach::Unreached(_)));
    if !silent {
        return Finding::ok("package-registries", TITLE, evidence);
    }
    if !builds(facts, profile) {
        return Finding::ok(
            "package-registries",
            TITLE,
            format!("{evidence}; nothing is to be built"),
        );
    }
    let answered = facts.packages.iter().any(|p| matches!(p.reach, Reach::Reached(_)));
    let pulls = matches!(facts.registry(), Some(Reach::Reached(_))) && profile.images.source == ImageSource::Auto;
    if answered || pulls || facts.registry().is_none() {
        return Finding::warn("package-registries", TITLE, evidence);
    }
    let evidence = format!("neither images nor packages can be had: {evidence}");
    Finding::fail("package-registries", TITLE, evidence, Reason::NotReady).with(Cure::by_hand(
        "behind a proxy, name it to this shell and to the engine",
        "export HTTPS_PROXY=http://HOST:PORT",
    ))
}
