use super::*;

fn env(dir: &Path) -> Env {
    Env {
        cwd: dir.to_owned(),
        home: dir.to_owned(),
        vars: BTreeMap::new(),
        stdout_is_terminal: false,
        stderr_is_terminal: false,
    }
}

fn paths(files: &Files) -> Vec<String> {
    let mut bytes = Vec::new();
    files.context.write(&mut bytes).unwrap();
    let mut tar = tar::Archive::new(bytes.as_slice());
    let entries = tar.entries().unwrap();
    entries
        .map(|e| e.unwrap().path().unwrap().display().to_string())
        .collect()
}

fn folder(files: &[(&str, &str)]) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    for (path, text) in files {
        let path = dir.path().join(path);
        fs_err::create_dir_all(path.parent().unwrap()).unwrap();
        fs_err::write(path, text).unwrap();
    }
    dir
}

fn wanted(file: &str) -> Dockerfile {
    Dockerfile {
        file: file.into(),
        name: "x".to_owned(),
        ..Dockerfile::default()
    }
}

#[test]
fn the_context_is_the_dockerfiles_folder_without_what_is_left_out() {
    let dir = folder(&[
        ("jobs/Dockerfile", "FROM scratch\n"),
        ("jobs/.dockerignore", "target\n!target/app.jar\n"),
        ("jobs/target/app.jar", "jar"),
        ("jobs/target/classes/A.class", "class"),
        ("jobs/src/A.java", "class A {}"),
        ("other", ""),
    ]);
    let files = read(&env(dir.path()), &wanted("jobs/Dockerfile")).unwrap();
    assert_eq!(
        paths(&files),
        [
            ".dockerignore",
            "Dockerfile",
            "src/",
            "src/A.java",
            "target/",
            "target/app.jar"
        ]
    );
    assert_eq!((files.path.as_str(), &files.note), ("Dockerfile", &None));
}

#[test]
fn a_dockerfile_outside_of_its_context_or_left_out_of_it_is_still_read() {
    let dir = folder(&[
        ("docker/app.Dockerfile", "FROM scratch\nCOPY . /app\n"),
        ("docker/app.Dockerfile.dockerignore", "b"),
        ("context/a", ""),
        ("context/b", ""),
        ("context/.dockerignore", "a"),
    ]);
    let outside = Dockerfile {
        context: Some("context".into()),
        ..wanted("docker/app.Dockerfile")
    };
    let files = read(&env(dir.path()), &outside).unwrap();
    assert!(files.path.starts_with(".dockerfile."), "{}", files.path);
    assert_eq!(
        paths(&files),
        [files.path.as_str(), ".dockerignore", "a"]
            .map(str::to_owned)
            .into_iter()
            .collect::<std::collections::BTreeSet<_>>()
            .into_iter()
            .collect::<Vec<_>>()
    );
    assert!(files.note.as_ref().unwrap().contains("`COPY .` takes it along"));

    let dir = folder(&[
        ("Dockerfile", "FROM scratch\nCOPY a /a\n"),
        (".dockerignore", "Dockerfile"),
        ("a", ""),
    ]);
    let files = read(&env(dir.path()), &wanted("Dockerfile")).unwrap();
    assert!(!paths(&files).contains(&"Dockerfile".to_owned()));
    assert_eq!(files.note, None);
}

#[test]
#[cfg(unix)]
fn modes_and_links_are_kept() {
    use std::os::unix::fs::PermissionsExt;
    let dir = folder(&[("Dockerfile", "FROM scratch\n"), ("run.sh", "")]);
    fs_err::set_permissions(dir.path().join("run.sh"), PermissionsExt::from_mode(0o750)).unwrap();
    std::os::unix::fs::symlink("run.sh", dir.path().join("link")).unwrap();
    let files = read(&env(dir.path()), &wanted("Dockerfile")).unwrap();
    let mut bytes = Vec::new();
    files.context.write(&mut bytes).unwrap();
    let mut tar = tar::Archive::new(bytes.as_slice());
    let mut seen = Vec::new();
    for entry in tar.entries().unwrap() {
        let entry = entry.unwrap();
        let link = entry.link_name().unwrap().map(|l| l.display().to_string());
        seen.push((
            entry.path().unwrap().display().to_string(),
            entry.header().mode().unwrap(),
            link,
        ));
    }
    assert!(seen.contains(&("run.sh".to_owned(), 0o750, None)), "{seen:?}");
    assert!(
        seen.contains(&("link".to_owned(), 0o777, Some("run.sh".to_owned()))),
        "{seen:?}"
    );
}

#[test]
fn what_is_not_there_is_told_as_it_was_typed() {
    let dir = folder(&[("Dockerfile", "FROM scratch\n"), ("file", "")]);
    let error = read(&env(dir.path()), &wanted("jobs/Dockerfile")).unwrap_err();
    assert_eq!(error.to_string(), "jobs/Dockerfile: the Dockerfile cannot be read");
    let no_folder = Dockerfile {
        context: Some("file".into()),
        ..wanted("Dockerfile")
    };
    let error = read(&env(dir.path()), &no_folder).unwrap_err();
    assert_eq!(error.to_string(), "the build context file is no folder");
}

#[test]
fn a_file_that_is_left_out_is_told_as_the_reason() {
    let ignore = (".dockerignore".to_owned(), Ignore::parse("# built\ntarget\n"));
    let failure = |path: &str| {
        let text =
            format!("failed to compute cache key: failed to calculate checksum of ref x: \"/{path}\": not found");
        with_ignored(
            Failure::new(Reason::ImageBuildFailed, "x").evidence(text),
            Some(&ignore),
        )
    };
    let evidence = failure("target/app.jar").detail().evidence.join("\n");
    assert!(
        evidence.ends_with(".dockerignore:2 leaves target/app.jar out"),
        "{evidence}"
    );
    assert_eq!(failure("other").detail().evidence.len(), 1);
    let older = "failed to walk /docker/tmp/buildkit-mount55/target: lstat /docker/tmp/buildkit-mount55/target: no such file or directory";
    assert_eq!(not_found(older), Some("target"));
    assert_eq!(not_found("exit code: 7"), None);
}

#[test]
fn names_with_and_without_a_tag() {
    assert_eq!(split("a/b"), ("a/b", None));
    assert_eq!(split("r:5000/a/b"), ("r:5000/a/b", None));
    assert_eq!(split("r:5000/a/b:1"), ("r:5000/a/b", Some("1")));
    assert!(is_content_addressed("a:0123456789ab"));
    assert!(!is_content_addressed("a:1.0") && !is_content_addressed("a"));
}
