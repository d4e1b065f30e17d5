"""Writes the operator's CRDs as its chart has them: crds.py FROM_FOLDER TO_FOLDER.

The blue/green CRD of the api jar declares a scale subresource whose paths do not
exist, and the API server refuses it; the release strips it from the chart's copy.
"""
import pathlib
import re
import sys

source, target = map(pathlib.Path, sys.argv[1:])
target.mkdir(parents=True)
found = 0
for path in sorted(source.glob("*.flink.apache.org-v1.yml")):
    text = path.read_text()
    if path.name.startswith("flinkbluegreendeployments"):
        text, number = re.subn(r"(?m)^( *)scale:\n(?:\1 +.*\n)+", "", text)
        if number != 1:
            sys.exit(f"{path.name}: {number} scale subresources, not 1")
    (target / path.name.replace("-v1.yml", ".yaml")).write_text(text)
    found += 1
if found != 4:
    sys.exit(f"{found} CRDs in the api jar, not 4")
