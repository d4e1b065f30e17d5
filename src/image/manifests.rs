//! What others ship beside their programs, out of the images: the operator's CRDs, cert-manager's manifests.

use std::io::{Cursor, Read};
use std::path::PathBuf;

use serde_json::Value;

use super::recipe::manifests_name;
use super::resolve::{CrdSource, Resolved};
use crate::container::Engine;
use crate::diag::{Failure, Reason, Result};
use crate::env::Env;

/// CRDs of the operator; the API server refuses this one's scale subresource, whose paths do not exist.
const BLUE_GREEN: &str = "flinkbluegreendeployments.flink.apache.org";

/// How many CRDs the operator has.
const CRDS: usize = 4;

/// The operator's CRDs as it publishes them, the blue/green one without its scale subresource.
///
/// # Errors
/// [`Reason::ImageUnavailable`] if the image is not in the engine or does not hold them.
pub async fn operator_crds(resolved: &Resolved, engine: &Engine, env: &Env) -> Result<Vec<Value>> {
    let (image, jar) = match &resolved.operator_crds {
        CrdSource::Image(image) => (image, false),
        CrdSource::OperatorJar(image) => (image, true),
    };
    let text = cached(engine, env, image, "crds.json", || async {
        let documents = if jar {
            yaml_of_jars(engine.files_of_image(image, "/flink-kubernetes-operator").await?)
        } else {
            engine
                .files_of_image(image, "/crds")
                .await?
                .into_iter()
                .map(|(_, bytes)| bytes)
                .collect()
        };
        let mut crds = Vec::new();
        for bytes in documents {
            crds.extend(parse(&String::from_utf8_lossy(&bytes), image)?);
        }
        crds.iter_mut().for_each(without_broken_scale);
        crds.sort_by_key(|crd| name_of(crd).to_owned());
        crds.dedup_by_key(|crd| name_of(crd).to_owned());
        if crds.len() == CRDS && crds.iter().all(|crd| crd["kind"] == "CustomResourceDefinition") {
            return to_text(&crds);
        }
        let names: Vec<_> = crds.iter().map(name_of).collect();
        Err(Failure::new(
            Reason::ImageUnavailable,
            format!("{image} does not hold the operator's {CRDS} CRDs"),
        )
        .evidence(format!("found: {}", names.join(", "))))
    })
    .await?;
    from_text(&text, image)
}

/// The objects that make up cert-manager.
///
/// # Errors
/// [`Reason::ImageUnavailable`] if the profile is without it, or its image is not in the engine.
pub async fn cert_manager_manifests(resolved: &Resolved, engine: &Engine, env: &Env) -> Result<Vec<Value>> {
    let image = manifests_of(resolved)?;
    let text = cached(engine, env, &image, "objects.json", || async {
        let yaml = one_file(engine, &image, "/cert-manager.yaml").await?;
        let objects = parse(&yaml, &image)?;
        if objects.iter().any(|object| object["kind"] == "Deployment") {
            return to_text(&objects);
        }
        Err(Failure::new(
            Reason::ImageUnavailable,
            format!("{image} does not hold cert-manager's manifests"),
        ))
    })
    .await?;
    from_text(&text, &image)
}

/// Names of the images that cert-manager's manifests run.
///
/// # Errors
/// As [`cert_manager_manifests`].
pub async fn cert_manager_images(resolved: &Resolved, engine: &Engine, env: &Env) -> Result<Vec<String>> {
    image_names(engine, env, &manifests_of(resolved)?).await
}

/// The same for a manifests image by its name.
pub(super) async fn image_names(engine: &Engine, env: &Env, manifests: &str) -> Result<Vec<String>> {
    let text = cached(engine, env, manifests, "images", || {
        one_file(engine, manifests, "/images")
    })
    .await?;
    Ok(text
        .lines()
        .map(str::trim)
        .filter(|line| !line.is_empty())
        .map(str::to_owned)
        .collect())
}

fn manifests_of(resolved: &Resolved) -> Result<String> {
    resolved
        .cert_manager_version
        .as_ref()
        .map(|version| manifests_name(version))
        .ok_or_else(|| Failure::new(Reason::ImageUnavailable, "the profile is without cert-manager"))
}

async fn one_file(engine: &Engine, image: &str, path: &str) -> Result<String> {
    let mut files = engine.files_of_image(image, path).await?;
    match files.pop() {
        Some((_, bytes)) => Ok(String::from_utf8_lossy(&bytes).into_owned()),
        None => Err(Failure::new(
            Reason::ImageUnavailable,
            format!("the image {image} has no file {path}"),
        )),
    }
}

/// A text made from an image, kept by the image's id: another image of the name is another file.
async fn cached<F: Future<Output = Result<String>>>(
    engine: &Engine,
    env: &Env,
    image: &str,
    file: &str,
    make: impl FnOnce() -> F,
) -> Result<String> {
    let info = engine.image(image).await?.ok_or_else(|| {
        Failure::new(Reason::ImageUnavailable, format!("the engine has no image {image}")).next("dev up")
    })?;
    let id = info.id.rsplit(':').next().unwrap_or_default();
    let path: PathBuf = env.cache_dir().join("files").join(id).join(file);
    if let Ok(text) = fs_err::read_to_string(&path) {
        return Ok(text);
    }
    let text = make().await?;
    // a cache that cannot be written costs time, not success
    let _ = super::store::write_whole(&path, text.as_bytes());
    Ok(text)
}

fn to_text(objects: &[Value]) -> Result<String> {
    serde_json::to_string(objects).map_err(|e| Failure::new(Reason::Internal, "objects without a text").cause(&e))
}

fn from_text(text: &str, image: &str) -> Result<Vec<Value>> {
    serde_json::from_str(text).map_err(|e| {
        Failure::new(
            Reason::ImageUnavailable,
            format!("the kept files of {image} are broken"),
        )
        .cause(&e)
    })
}

/// Kubernetes manifests: several documents, `0644` is octal, empty documents are left out.
fn parse(yaml: &str, image: &str) -> Result<Vec<Value>> {
    let options = serde_saphyr::options! { legacy_octal_numbers: true };
    let all: Vec<Value> = serde_saphyr::from_multiple_with_options(yaml, options).map_err(|e| {
        Failure::new(
            Reason::ImageUnavailable,
            format!("the manifests in {image} cannot be read"),
        )
        .evidence(e.to_string())
    })?;
    Ok(all.into_iter().filter(|value| !value.is_null()).collect())
}

fn name_of(object: &Value) -> &str {
    object["metadata"]["name"].as_str().unwrap_or_default()
}

fn without_broken_scale(crd: &mut Value) {
    if name_of(crd) != BLUE_GREEN {
        return;
    }
    for version in crd["spec"]["versions"].as_array_mut().into_iter().flatten() {
        if let Some(subresources) = version.get_mut("subresources").and_then(Value::as_object_mut) {
            subresources.remove("scale");
        }
    }
}

/// The CRDs that lie in jars (`META-INF/fabric8/*-v1.yml`).
fn yaml_of_jars(files: Vec<(String, Vec<u8>)>) -> Vec<Vec<u8>> {
    let mut found = Vec::new();
    for (name, bytes) in files {
        let is_jar = std::path::Path::new(&name).extension().is_some_and(|e| e == "jar");
        let Some(Ok(mut jar)) = is_jar.then(|| zip::ZipArchive::new(Cursor::new(bytes))) else {
            continue;
        };
        for index in 0..jar.len() {
            let Ok(mut entry) = jar.by_index(index) else { continue };
            let path = entry.name().to_owned();
            if path.starts_with("META-INF/fabric8/") && path.ends_with(".flink.apache.org-v1.yml") {
                let mut text = Vec::new();
                if entry.read_to_end(&mut text).is_ok() {
                    found.push(text);
                }
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn manifests_are_read_as_kubectl_reads_them() {
        let yaml = "---\n# nothing\n---\nkind: A\nmode: 0644\nflag: yes\ntext: \"010\"\n---\nkind: B\n";
        let objects = parse(yaml, "x").unwrap();
        assert_eq!(
            objects,
            [
                json!({"kind": "A", "mode": 420, "flag": true, "text": "010"}),
                json!({"kind": "B"})
            ]
        );
    }

    #[test]
    fn only_the_broken_scale_goes() {
        let crd = |name: &str| {
            json!({"metadata": {"name": name},
                   "spec": {"versions": [{"subresources": {"scale": {}, "status": {}}}]}})
        };
        let (mut broken, mut fine) = (crd(BLUE_GREEN), crd("flinkdeployments.flink.apache.org"));
        without_broken_scale(&mut broken);
        without_broken_scale(&mut fine);
        assert_eq!(broken["spec"]["versions"][0]["subresources"], json!({"status": {}}));
        assert_eq!(
            fine["spec"]["versions"][0]["subresources"],
            json!({"scale": {}, "status": {}})
        );
    }

    #[test]
    fn crds_are_found_in_a_jar() {
        use std::io::Write;
        let mut jar = zip::ZipWriter::new(Cursor::new(Vec::new()));
        let options = zip::write::SimpleFileOptions::default();
        for name in [
            "META-INF/fabric8/a.flink.apache.org-v1.yml",
            "META-INF/fabric8/a.flink.apache.org-v1beta1.yml",
            "x",
        ] {
            jar.start_file(name, options).unwrap();
            jar.write_all(name.as_bytes()).unwrap();
        }
        let bytes = jar.finish().unwrap().into_inner();
        let found = yaml_of_jars(vec![
            ("lib/operator.jar".into(), bytes.clone()),
            ("lib/no.txt".into(), bytes),
        ]);
        assert_eq!(found, [b"META-INF/fabric8/a.flink.apache.org-v1.yml".to_vec()]);
    }
}
