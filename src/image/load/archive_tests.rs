//! Archives in the forms that engines write.

use std::io::Write;

use proptest::prelude::*;
use serde_json::{Value, json};

use super::cache::Cache;
use super::layout::{Image, Layer, sha256};

fn cache() -> (tempfile::TempDir, Cache) {
    let dir = tempfile::tempdir().unwrap();
    let cache = Cache::at(dir.path(), "hub.example");
    (dir, cache)
}

fn archive(files: &[(String, Vec<u8>)], links: &[(&str, &str)]) -> Vec<u8> {
    let mut tar = tar::Builder::new(Vec::new());
    for (path, bytes) in files {
        let mut header = tar::Header::new_gnu();
        header.set_size(bytes.len() as u64);
        header.set_mode(0o644);
        tar.append_data(&mut header, path, bytes.as_slice()).unwrap();
    }
    for (path, target) in links {
        let mut header = tar::Header::new_gnu();
        header.set_entry_type(tar::EntryType::Symlink);
        header.set_size(0);
        tar.append_link(&mut header, path, target).unwrap();
    }
    tar.into_inner().unwrap()
}

fn config(layers: &[&[u8]]) -> Vec<u8> {
    config_for("amd64", layers)
}

fn config_for(architecture: &str, layers: &[&[u8]]) -> Vec<u8> {
    let ids: Vec<String> = layers.iter().map(|l| format!("sha256:{}", sha256(l))).collect();
    json!({"os": "linux", "architecture": architecture, "rootfs": {"type": "layers", "diff_ids": ids}})
        .to_string()
        .into_bytes()
}

fn list(config: &str, layers: &[&str]) -> (String, Vec<u8>) {
    let list = json!([{"Config": config, "RepoTags": ["x/y:1"], "Layers": layers}]);
    ("manifest.json".to_owned(), list.to_string().into_bytes())
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    packed.write_all(bytes).unwrap();
    packed.finish().unwrap()
}

/// A blob's path and bytes, and its descriptor.
fn blob(kind: &str, bytes: &[u8]) -> ((String, Vec<u8>), Value) {
    let digest = sha256(bytes);
    let descriptor = json!({"mediaType": kind, "digest": format!("sha256:{digest}"), "size": bytes.len()});
    ((format!("blobs/sha256/{digest}"), bytes.to_vec()), descriptor)
}

fn with(mut descriptor: Value, key: &str, value: Value) -> Value {
    descriptor[key] = value;
    descriptor
}

/// An OCI image of one compressed layer: its files and the descriptor of its manifest.
fn oci(architecture: &str, layer: &[u8]) -> (Vec<(String, Vec<u8>)>, Value) {
    let (config_file, config) = blob(
        "application/vnd.oci.image.config.v1+json",
        &config_for(architecture, &[layer]),
    );
    let (layer_file, layer) = blob("application/vnd.oci.image.layer.v1.tar+gzip", &gzip(layer));
    let manifest = json!({"schemaVersion": 2, "config": config, "layers": [layer]}).to_string();
    let (manifest_file, descriptor) = blob("application/vnd.oci.image.manifest.v1+json", manifest.as_bytes());
    let platform = json!({"os": "linux", "architecture": architecture});
    (
        vec![config_file, layer_file, manifest_file],
        with(descriptor, "platform", platform),
    )
}

/// What BuildKit puts beside an image by itself.
fn attestation() -> (Vec<(String, Vec<u8>)>, Value) {
    let (statement_file, statement) = blob("application/vnd.in-toto+json", br#"{"_type":"statement"}"#);
    let (config_file, config) = blob(
        "application/vnd.oci.image.config.v1+json",
        br#"{"architecture":"unknown","os":"unknown","rootfs":{"type":"layers","diff_ids":["sha256:00"]}}"#,
    );
    let manifest = json!({"schemaVersion": 2, "config": config, "layers": [statement]}).to_string();
    let (manifest_file, descriptor) = blob("application/vnd.oci.image.manifest.v1+json", manifest.as_bytes());
    let descriptor = with(
        descriptor,
        "platform",
        json!({"os": "unknown", "architecture": "unknown"}),
    );
    let kind = json!({"vnd.docker.reference.type": "attestation-manifest"});
    (
        vec![statement_file, config_file, manifest_file],
        with(descriptor, "annotations", kind),
    )
}

/// An archive of an index under a name, as containerd's store exports it; its id is the index's digest.
fn indexed(mut files: Vec<(String, Vec<u8>)>, manifests: &[Value]) -> (Vec<u8>, String) {
    let inner = json!({"schemaVersion": 2, "manifests": manifests}).to_string();
    let (file, descriptor) = blob("application/vnd.oci.image.index.v1+json", inner.as_bytes());
    let id = descriptor["digest"].as_str().unwrap().to_owned();
    files.push(file);
    let name = json!({"io.containerd.image.name": "hub.example/x/y:1", "org.opencontainers.image.ref.name": "1"});
    let index = json!({"schemaVersion": 2, "manifests": [with(descriptor, "annotations", name)]});
    files.push(("index.json".to_owned(), index.to_string().into_bytes()));
    files.push(("oci-layout".to_owned(), br#"{"imageLayoutVersion":"1.0.0"}"#.to_vec()));
    (archive(&files, &[]), id)
}

fn taken(cache: &Cache, bytes: &[u8], id: &str) -> std::io::Result<Image> {
    cache.prepare()?;
    cache.take(bytes, &[("x/y:1".to_owned(), id.to_owned())], "amd64")?;
    Ok(cache.image("x/y:1", id).unwrap())
}

#[test]
fn the_old_form_with_a_linked_layer() {
    let (dir, cache) = cache();
    let config = config(&[b"one", b"two", b"one"]);
    let id = format!("sha256:{}", sha256(&config));
    let name = format!("{}.json", sha256(&config));
    let bytes = archive(
        &[
            ("a/VERSION".to_owned(), b"1.0".to_vec()),
            ("a/json".to_owned(), b"{}".to_vec()),
            ("a/layer.tar".to_owned(), b"one".to_vec()),
            ("b/layer.tar".to_owned(), b"two".to_vec()),
            (name.clone(), config.clone()),
            list(&name, &["a/layer.tar", "b/layer.tar", "c/layer.tar"]),
        ],
        &[("c/layer.tar", "../a/layer.tar")],
    );
    let image = taken(&cache, &bytes, &id).unwrap();
    assert_eq!(image.config, config);
    let read = |l: &Layer| fs_err::read(cache.blob(&l.digest)).unwrap();
    assert_eq!(
        image.layers.iter().map(read).collect::<Vec<_>>(),
        [b"one", b"two", b"one"]
    );
    // what is neither layer nor configuration is not kept
    assert_eq!(cache.stock().files.len(), 3, "{:?}", cache.stock());
    // a stream that was cut leaves no image
    let other = Cache::at(&dir.path().join("other"), "hub.example");
    assert!(taken(&other, &bytes[..2500], &id).is_err());
    assert!(other.image("x/y:1", &id).is_none());
    // what is right is not forgotten, and of an image that is not, only what is wrong is
    let images = std::slice::from_ref(&image);
    assert_eq!(cache.forget_wrong_of(images), Vec::<String>::new());
    assert!(cache.image("x/y:1", &id).is_some());
    let wrong = &image.layers[1].digest;
    fs_err::write(cache.blob(wrong), b"tow").unwrap();
    assert_eq!(cache.forget_wrong_of(images), std::slice::from_ref(wrong));
    assert!(cache.image("x/y:1", &id).is_none());
    assert!(cache.blob(&image.layers[0].digest).exists() && !cache.blob(wrong).exists());
}

#[test]
fn dockers_oci_form_names_uncompressed_blobs() {
    let (_dir, cache) = cache();
    let config = config(&[b"one", b"two"]);
    let id = format!("sha256:{}", sha256(&config));
    let files: Vec<_> = [config.as_slice(), b"one", b"two"]
        .map(|bytes| blob("", bytes).0)
        .into();
    let paths: Vec<String> = files.iter().map(|(path, _)| path.clone()).collect();
    let mut all = files;
    all.push(list(&paths[0], &[&paths[1], &paths[2]]));
    all.push(("repositories".to_owned(), b"{}".to_vec()));
    let image = taken(&cache, &archive(&all, &[]), &id).unwrap();
    assert_eq!(image.layers.iter().map(|l| l.size).collect::<Vec<_>>(), [3, 3]);
}

#[test]
fn containerds_form_with_an_attestation_beside_the_image() {
    let (_dir, cache) = cache();
    let (mut files, image) = oci("amd64", b"packed");
    let (more, attested) = attestation();
    files.extend(more);
    let packed = sha256(&gzip(b"packed"));
    let (bytes, id) = indexed(files, &[image, attested]);
    let image = taken(&cache, &bytes, &id).unwrap();
    let expected = Layer {
        digest: sha256(b"packed"),
        size: 6,
    };
    assert_eq!(image.layers, [expected]);
    assert_eq!(image.id, id);
    // a registry is asked for the layer by the digest of its compressed bytes
    let size = gzip(b"packed").len() as u64;
    assert_eq!(cache.layer_of(&packed), Some((sha256(b"packed"), size)));
    // of texts only the configuration is kept
    assert_eq!(cache.stock().files.len(), 2, "{:?}", cache.stock());
}

#[test]
fn of_several_platforms_the_engines_own_is_taken_and_others_may_be_missing() {
    let (_dir, cache) = cache();
    let (other, other_image) = oci("arm64", b"for arm");
    let (mut files, image) = oci("amd64", b"for amd");
    files.extend(other);
    let absent = json!({"mediaType": "application/vnd.oci.image.manifest.v1+json", "size": 7,
        "digest": format!("sha256:{}", sha256(b"absent")), "platform": {"os": "linux", "architecture": "s390x"}});
    let (bytes, id) = indexed(files, &[absent.clone(), other_image, image]);
    assert_eq!(taken(&cache, &bytes, &id).unwrap().layers[0].digest, sha256(b"for amd"));
    // nothing of it is whole
    let (bytes, id) = indexed(Vec::new(), &[absent]);
    let error = taken(&cache, &bytes, &id).unwrap_err();
    assert!(error.to_string().contains("does not hold all of x/y:1"), "{error}");
}

#[test]
fn layers_that_are_not_the_configurations_are_refused() {
    let (_dir, cache) = cache();
    let config = config(&[b"one"]);
    let name = format!("{}.json", sha256(&config));
    let files = [
        ("a/layer.tar".to_owned(), b"other".to_vec()),
        (name.clone(), config.clone()),
        list(&name, &["a/layer.tar"]),
    ];
    let error = taken(&cache, &archive(&files, &[]), "sha256:1").unwrap_err();
    assert!(error.to_string().contains("not those of the configuration"), "{error}");
}

#[test]
fn a_blob_with_anothers_name_is_refused() {
    let (_dir, cache) = cache();
    let path = format!("blobs/sha256/{}", sha256(b"right"));
    let error = taken(&cache, &archive(&[(path, b"wrong".to_vec())], &[]), "sha256:1").unwrap_err();
    assert!(error.to_string().contains("another digest"), "{error}");
}

#[test]
fn zstd_is_told_and_not_taken_for_a_layer() {
    let (_dir, cache) = cache();
    let bytes = [0x28, 0xb5, 0x2f, 0xfd, 0, 0, 0];
    let (file, _) = blob("", &bytes);
    let error = taken(&cache, &archive(&[file], &[]), "sha256:1").unwrap_err();
    assert!(error.to_string().contains("zstd"), "{error}");
    assert!(cache.stock().files.is_empty());
}

#[test]
fn a_configuration_in_small_pieces_is_whole() {
    // a stream gives what it has: a text must not end where its first part ends
    struct Slow<'a>(&'a [u8]);
    impl std::io::Read for Slow<'_> {
        fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
            let length = self.0.len().min(buffer.len()).min(7);
            buffer[..length].copy_from_slice(&self.0[..length]);
            self.0 = &self.0[length..];
            Ok(length)
        }
    }
    let (_dir, cache) = cache();
    cache.prepare().unwrap();
    let (files, image) = oci("amd64", b"packed");
    let (bytes, id) = indexed(files, &[image]);
    cache
        .take(Slow(&bytes), &[("x/y:1".to_owned(), id.clone())], "amd64")
        .unwrap();
    assert!(cache.image("x/y:1", &id).is_some());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn broken_archives_are_errors_and_leave_no_image(at in 0_usize..4000, change in any::<u8>(), cut in any::<bool>()) {
        let (_dir, cache) = cache();
        let (files, image) = oci("amd64", b"packed");
        let (mut bytes, id) = indexed(files, &[image]);
        let at = at % bytes.len();
        if cut { bytes.truncate(at) } else { bytes[at] ^= change }
        // whatever it says, what it enters is whole and is what the digests name
        if let Ok(image) = taken(&cache, &bytes, &id) {
            prop_assert_eq!(fs_err::read(cache.blob(&image.layers[0].digest)).unwrap(), b"packed");
        }
    }
}
