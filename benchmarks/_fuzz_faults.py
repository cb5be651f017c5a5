"""Faults that a copy of the package gets back: file, text as it is, text with the fault."""

#: By number and kind, as in the issue that removed them.
FAULTS = {
    "1 state of torch around the call": [
        (
            "_ops.py",
            "    for kind in _AUTOCAST:\n"
            "        function = torch.autocast(kind, enabled=False)(function)\n"
            "    return torch.inference_mode(mode=False)(torch.enable_grad()(function))",
            "    return function",
        ),
        ("_training/net.py", "        if training and not self.has_learned_:", "        if False:"),
    ],
    "2 types a device lacks": [
        (
            "_training/net.py",
            "torch.stack(losses).cpu().numpy().astype(np.float64)",
            "torch.stack(losses).double().cpu().numpy()",
        )
    ],
    "3 labels thrown away": [
        (
            "_data/labels.py",
            "            if not (_is_default(labels) or _is_default(other)):",
            "            if False:",
        )
    ],
    "4 state removed before its successor exists": [
        (
            "_estimators/base.py",
            "            vars(self).clear()\n            vars(self).update(before)",
            '            vars(self).pop("net_", None)',
        )
    ],
    "5 one key, two meanings": [
        ("_names.py", "    if str(position) in names:\n", "    if False:\n"),
    ],
    "6 a second loop without the user's hooks": [
        (
            "_estimators/base.py",
            "pretrain(plan, module, data, pretrain_epochs, resume=resume, **own)",
            "pretrain(plan, module, data, pretrain_epochs, resume=resume, "
            '**own | {"callbacks": None})',
        )
    ],
    "7 a part of the state is not saved": [
        (
            "_persistence/net_state.py",
            '{key: to_plain(value) for key, value in group.items() if key != "params"}',
            '{"lr": float(group["lr"])}',
        )
    ],
    "8 accepted in fit, refused later": [
        ("_persistence/plain.py", "lambda v: isinstance(v, range)", "lambda v: False"),
    ],
    "9 metadata are not routed": [
        ("_data/per_modality.py", "        if not params:\n", "        if True:\n"),
    ],
    "10 only some mappings": [
        (
            "_data/forms.py",
            "    if isinstance(X, Mapping):\n        return True",
            "    if isinstance(X, dict):\n        return True",
        )
    ],
    "11 cells that are vectors": [
        (
            "_data/frames.py",
            "    cells = cells_of(item)\n    vectors =",
            "    cells = None\n    vectors =",
        ),
    ],
    "12 few rows hold the variance": [
        ("_data/robust.py", "    if not len(found):\n", "    if True:\n"),
    ],
    "13 threads share a generator": [
        ("_ops.py", "    with _GLOBAL_STATE, torch.random", "    with torch.random"),
    ],
    "14 wrong names: PLSRegression": [
        ("_data/apply.py", "    if isinstance(out, tuple):\n", "    if False:\n"),
    ],
    "14 wrong names: duplicate columns": [
        ("_data/forms.py", "Counter(map(str, columns)).items()", "Counter().items()"),
    ],
    "14 wrong names: the second head": [
        (
            "_training/plan.py",
            '        if n_specific and parameters["output"] == "all":',
            "        if False:",
        )
    ],
    "14 wrong names: classes that are missing": [
        (
            "plotting/_embedding.py",
            "codes, classes = pd.factorize(self.labels, sort=True)",
            "classes, codes = np.unique(self.labels, return_inverse=True)",
        )
    ],
    "14 wrong names: tensors with gradients": [
        (
            "metrics/_inputs.py",
            "    return np.asarray(plain_tensor(values), dtype=dtype)",
            "    return np.asarray(values, dtype=dtype)",
        )
    ],
    "14 wrong numbers: zeros that are stored": [
        ("_data/schema.py", "        if not array.data.all():\n", "        if False:\n"),
    ],
    "15 groups: rows of another order": [
        (
            "_data/per_sample.py",
            "None if values is None else values[rows] for values in self",
            "None if values is None else values[np.sort(np.arange(len(values))[rows])] "
            "for values in self",
        )
    ],
    "15 groups: early stopping splits them": [
        (
            "_estimators/base.py",
            "self.validation_fraction, repeated_codes(X.groups)",
            "self.validation_fraction, None",
        )
    ],
    "15 groups: negatives of each other": [
        (
            "losses/_samples.py",
            "        return self.groups[:, None] == self.groups[tile]",
            "        return None",
        )
    ],
    "15 groups: ties as if one were right": [
        (
            "metrics/_group_ranks.py",
            "(tied.sum(axis=1) + 1) / (own + 1)",
            "(tied.sum(axis=1) + 1) / 2",
        )
    ],
    "15 groups: chance of one candidate": [
        (
            "plotting/_retrieval.py",
            "        if pair not in self.group_sizes:\n",
            "        if True:\n",
        )
    ],
    "15 duplicates: negatives of each other": [
        (
            "losses/_samples.py",
            "(self.duplicates, other) if codes is not None]",
            "() if codes is not None]",
        )
    ],
    "15 weights: every query counts alike": [
        (
            "metrics/_pairs.py",
            "    return float(np.average(ranks <= k, weights=weight))",
            "    return float(np.average(ranks <= k))",
        )
    ],
    "15 weights: every sample pulls alike": [
        (
            "losses/_samples.py",
            "torch.ones_like(like) if self.weight is None else self.weight.to(like)",
            "torch.ones_like(like)",
        )
    ],
}
