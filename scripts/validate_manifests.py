"""Validates Kubernetes objects, as JSON on standard input; see validate-manifests."""

import json
import sys

import kubernetes_validate
from kubernetes_validate import SchemaNotFoundError, ValidationError

# kinds whose definitions come with their own projects
CUSTOM = ("flink.apache.org/", "cert-manager.io/")


def main() -> int:
    version = sys.argv[1].lstrip("v")
    objects = json.load(sys.stdin)
    if isinstance(objects, dict):  # as `dev objects` prints them: by component
        objects = [item for component in objects["objects"].values() for item in component]
    valid, custom, wrong = 0, [], []
    for item in objects:
        name = f"{item.get('kind')} {item.get('metadata', {}).get('name')}"
        try:
            kubernetes_validate.validate(item, version, strict=True)
            valid += 1
        except SchemaNotFoundError as error:
            if item.get("apiVersion", "").startswith(CUSTOM):
                custom.append(name)
            else:
                wrong.append(f"{name}: {error.message}")
        except ValidationError as error:
            path = ".".join(str(part) for part in error.path)
            wrong.append(f"{name}: {path}: {error.message}")
    for line in wrong:
        print(line, file=sys.stderr)
    print(f"{valid} objects fit the schemas of Kubernetes {version}; without a schema there: {', '.join(custom) or 'none'}")
    # an empty list is a defect of what printed it
    return 0 if valid and not wrong else 1


if __name__ == "__main__":
    sys.exit(main())
