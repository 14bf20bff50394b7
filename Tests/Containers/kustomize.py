"""Renders the overlays of docker/kubernetes like kustomize, which is not in Debian.

It knows the fields that the overlays use, and rejects all others.
"""

import copy
import pathlib

import yaml

#: The field that identifies the elements of a list; Kubernetes replaces other lists as a whole.
KEYS = {"containers": "name", "env": "name", "volumes": "name", "volumeMounts": "mountPath",
        "ports": "containerPort", "topologySpreadConstraints": "topologyKey"}


def documents(text):
    return [one for one in yaml.safe_load_all(text) if one]


def render(folder):
    """The objects of an overlay."""
    folder = pathlib.Path(folder)
    rest = yaml.safe_load((folder / "kustomization.yaml").read_text())
    if (rest.pop("apiVersion"), rest.pop("kind")) != (
            "kustomize.config.k8s.io/v1beta1", "Kustomization"):
        raise ValueError(f"{folder} is not a kustomization")
    objects = []
    for name in rest.pop("resources"):
        path = folder / name
        objects += render(path) if path.is_dir() else documents(path.read_text())
    for patch in rest.pop("patches", []):
        apply(patch, folder, objects)
    namespace = rest.pop("namespace", None)
    images = {one["name"]: f"{one['newName']}:{one['newTag']}" for one in rest.pop("images", [])}
    for one in objects:
        if namespace:
            one["metadata"]["namespace"] = namespace
        if one["kind"] == "StatefulSet":
            for container in one["spec"]["template"]["spec"]["containers"]:
                container["image"] = images.get(container["image"], container["image"])
    if rest:
        raise ValueError(f"{folder}: unknown fields {sorted(rest)}")
    return objects


def apply(patch, folder, objects):
    content, = documents((folder / patch["path"]).read_text())
    wanted = patch.get("target") or {"kind": content["kind"], "name": content["metadata"]["name"]}
    target, = [one for one in objects
               if (one["kind"], one["metadata"]["name"]) == (wanted["kind"], wanted["name"])]
    if isinstance(content, dict):
        objects[objects.index(target)] = merged(target, content)
        return
    for step in content:
        *path, last = step["path"].removeprefix("/").split("/")
        if (step["op"], last) != ("add", "-"):
            raise ValueError(f"JSON Patch: {step}")
        place = target
        for part in path:
            place = place[part]
        place.append(step["value"])


def merged(base, patch, field=None):
    """A strategic merge; new elements of a list precede the others."""
    if isinstance(base, dict) and isinstance(patch, dict):
        result = dict(base)
        for name, value in patch.items():
            result[name] = merged(base[name], value, name) if name in base else value
        return result
    if isinstance(base, list) and field in KEYS:
        known = {one[KEYS[field]]: one for one in patch}
        if len(known) != len(patch):
            raise ValueError(f"{field}: repeated {KEYS[field]}")
        old = {one[KEYS[field]] for one in base}
        return [copy.deepcopy(one) for key, one in known.items() if key not in old] + [
            merged(one, known.get(one[KEYS[field]], {})) for one in base]
    return copy.deepcopy(patch)
