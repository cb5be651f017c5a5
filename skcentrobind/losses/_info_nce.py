"""InfoNCE with its gradient, as pure functions of tensors."""

import math
from functools import reduce
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from skcentrobind._ops import matmul
from skcentrobind.losses._related import RelatedInfoNCE, Relations
from skcentrobind.losses._samples import Samples

# While |logit| <= 40 * norm(anchor), with norm(anchor) <= 2, neither exp(logit) nor a sum of
# up to 1e3 billion of them leaves float32's normal range [1e-38, 3e38]: exp(80) = 5.5e34.
_MAX_PLAIN_SCALE = 40.0

# A tile of logits of about this many numbers (1 MiB of float32) stays in a core's cache.
_TILE_SIZE = 2**18

# Up to this many logits of one modality (16 MiB of float32) are kept from the first sweep over
# the tiles to the second one; beyond, they are computed anew.
_KEEP_SIZE = 2**22

# With one query per row of the logits: whether the rows and whether the columns take a softmax.
_SOFTMAX_OF = {"both": (True, True), "from_anchor": (False, True), "to_anchor": (True, False)}


def info_nce(
    queries: Tensor,
    keys: Tensor,
    temperature: float | Tensor = 0.2,
    *,
    samples: Samples | None = None,
) -> Tensor:
    r"""Compute the InfoNCE loss of queries, each with its own key among all keys.

    Parameters
    ----------
    queries : Tensor of shape (batch, n_components)
        One query per row, of unit length by convention.
    keys : Tensor of shape (batch, n_components)
        Row k is the positive of query k, all other rows are its negatives.
    temperature : float, default=0.2
        Divides the inner products.
    samples : Samples, default=None
        Groups, duplicates (those of a single modality) and weights; None means that all samples
        are different and equally heavy.

    Returns
    -------
    loss : Tensor of shape ()
        :math:`\frac1B \sum_k [\log\sum_j e^{q_k\cdot v_j/\tau} - q_k\cdot v_k/\tau]`, in nats.

    References
    ----------
    Jeong et al., "Anchors Aweigh! Sail for Optimal Unified Multi-Modal Representations",
    `arXiv:2410.02086 <https://arxiv.org/abs/2410.02086>`_, equation (9a).

    Examples
    --------
    >>> import torch
    >>> from skcentrobind.losses import info_nce
    >>> float(info_nce(torch.eye(3), torch.eye(3), temperature=0.1)) < 1e-3
    True
    """
    logits = queries @ keys.T / temperature  # (batch, batch)
    if samples is None:
        return (logits.logsumexp(dim=1) - logits.diagonal()).mean()
    positives, excluded = samples.positives(), samples.excluded()
    of_positives = logits.diagonal()
    if positives is not None:
        of_positives = logits.masked_fill(~positives, -torch.inf).logsumexp(dim=1)
    if excluded is not None:
        logits = logits.masked_fill(excluded[0], -torch.inf)
    per_row = logits.logsumexp(dim=1) - of_positives
    return (per_row * samples.share(None, per_row)).sum()


def anchor_info_nce(
    embeddings: Tensor,
    anchor: Tensor,
    temperature: float | Tensor = 0.2,
    *,
    direction: str = "both",
    present: Tensor | None = None,
    chunk_size: int | None = None,
    bounded: bool = False,
    samples: Samples | None = None,
    duplicates: Tensor | None = None,
) -> Tensor:
    r"""Compute InfoNCE between an anchor and every modality, all modalities at once.

    With logits :math:`s_{kj} = z_{m,k} \cdot a_j / \tau` the loss of modality m is
    :math:`\frac{1}{B}\sum_k [\log\sum_j e^{s_{kj}} + \log\sum_j e^{s_{jk}} - 2 s_{kk}]`: the sum of
    both directions of InfoNCE. Its gradient with respect to the logits is the sum of the row-wise
    and the column-wise softmax minus twice the identity, divided by B. Both come out of the same
    exponentials, so loss and gradient are computed together, tile by tile. One direction alone has
    one softmax and the identity once.

    Parameters
    ----------
    embeddings : Tensor of shape (n_modalities, batch, n_components)
        Unit-length rows.
    anchor : Tensor of shape (batch, n_components) or (n_modalities, batch, n_components)
        One anchor for all modalities, or one for each.
    temperature : float or Tensor of shape () or (n_modalities,), default=0.2
        Divides the inner products; one for all modalities, or one for each. A tensor may be
        learned.
    direction : {"both", "from_anchor", "to_anchor"}, default="both"
        Which side the queries are.

        "both" is the sum of the two others.

        "from_anchor" has anchors as queries and the rows of the modality as keys:
        `info_nce(anchor, z)`.

        "to_anchor" has the rows of the modality as queries and anchors as keys:
        `info_nce(z, anchor)`.
    present : Tensor of bool of shape (n_modalities, batch), default=None
        Where False, the row leaves both the rows and the columns of its modality's logits, and
        the mean runs over the rows that stay. None means that no row is missing. A modality with
        fewer than two rows has loss 0, since it has no negatives.
    chunk_size : int, default=None
        How many columns of the logits exist at a time: memory is O(batch x chunk_size) instead
        of O(n_modalities x batch x batch). The result is exact for every value. None chooses the
        size so that a tile stays in cache, which is also the fastest.
    bounded : bool, default=False
        Whether every anchor is known to be no longer than 2, as the means and medians of
        unit vectors are. Exponentials are then taken without subtracting a maximum, unless
        1 / temperature exceeds 40, or might: a tensor on an accelerator is not read, which would
        stall it.
    samples : Samples, default=None
        Groups, duplicates and weights of the samples, see `Samples` for the loss that these
        define; None means that all samples are different and equally heavy.
    duplicates : Tensor of int64 of shape (n_modalities, batch), default=None
        Further duplicates, as in `Samples`, of the anchors: those of the one modality that a
        modality's anchors are made of.

    Returns
    -------
    losses : Tensor of shape (n_modalities,)
        Loss of each modality, in nats. Differentiable once, in `embeddings`, `anchor` and
        `temperature`.

    Raises
    ------
    ValueError
        If `temperature`, `direction` or `chunk_size` cannot be used.

    References
    ----------
    Jeong et al., "Anchors Aweigh! Sail for Optimal Unified Multi-Modal Representations",
    `arXiv:2410.02086 <https://arxiv.org/abs/2410.02086>`_, equations (8), (9a), which is
    "from_anchor", and (9b), which is "to_anchor".

    Examples
    --------
    >>> import torch
    >>> from skcentrobind.losses import anchor_info_nce, info_nce
    >>> z = torch.nn.functional.normalize(torch.arange(24.0).sin().view(2, 4, 3), dim=-1)
    >>> a = z.mean(dim=0)
    >>> both_ways = [info_nce(a, z_m, 0.5) + info_nce(z_m, a, 0.5) for z_m in z]
    >>> torch.allclose(anchor_info_nce(z, a, 0.5), torch.stack(both_ways))
    True
    """
    if chunk_size is not None and chunk_size < 1:
        raise ValueError(f"chunk_size must be at least 1 or None, got {chunk_size!r}.")
    if direction not in _SOFTMAX_OF:
        raise ValueError(f"direction must be one of {list(_SOFTMAX_OF)}, got {direction!r}.")
    has_relations = None if samples is None else samples.related_modalities(duplicates)
    if samples is not None and has_relations is not None and not all(has_relations):
        # Only modalities that hold equal rows pay for the relations.
        options: dict[str, Any] = {
            "direction": direction,
            "chunk_size": chunk_size,
            "bounded": bounded,
        }
        members = [m for m, related in enumerate(has_relations) if related]
        others = [m for m, related in enumerate(has_relations) if not related]
        z, a, tau, mask = _of(others, embeddings, anchor, temperature, present)
        losses = anchor_info_nce(z, a, tau, present=mask, **options)
        if not members:
            return losses
        z, a, tau, mask = _of(members, embeddings, anchor, temperature, present)
        known: dict[str, Any] = {"samples": samples.of(members)}
        if duplicates is not None:
            known["duplicates"] = duplicates[members]
        losses = torch.cat([losses, anchor_info_nce(z, a, tau, present=mask, **known, **options)])
        return losses[sorted(range(len(losses)), key=(others + members).__getitem__)]
    scale, moderate = _scale(temperature, embeddings)
    softmax_of = _SOFTMAX_OF[direction]
    if samples is not None:
        share = samples.share(present, embeddings[..., 0])
        relations = Relations(samples, duplicates, share, present)
        return RelatedInfoNCE.apply(embeddings, anchor, scale, relations, softmax_of, chunk_size)
    plain = bounded and moderate
    return _AnchorInfoNCE.apply(embeddings, anchor, scale, present, softmax_of, chunk_size, plain)


def _of(
    members: list[int],
    embeddings: Tensor,
    anchor: Tensor,
    temperature: float | Tensor,
    present: Tensor | None,
) -> tuple[Tensor, Tensor, float | Tensor, Tensor | None]:
    """Return the arguments of some modalities."""
    if len(members) == len(embeddings):
        return embeddings, anchor, temperature, present
    if isinstance(temperature, Tensor) and temperature.ndim:
        temperature = temperature[members]
    return (
        embeddings[members],
        anchor if anchor.ndim == 2 else anchor[members],
        temperature,
        None if present is None else present[members],
    )


def _scale(temperature: float | Tensor, embeddings: Tensor) -> tuple[float | Tensor, bool]:
    """Return 1 / temperature, as a float or (n_modalities,), and whether it is surely moderate."""
    if isinstance(temperature, Tensor):
        if temperature.shape not in {(), (len(embeddings),)}:
            raise ValueError(
                f"temperature must be one number or one for each of {len(embeddings)} modalities, "
                f"got a tensor of shape {tuple(temperature.shape)}."
            )
        scale = temperature.to(embeddings).reciprocal().expand(len(embeddings))
        if temperature.device.type != "cpu":
            return scale, False
        lowest = temperature.detach().min().item()
        # A learned one is NaN once training has diverged, and so is the loss, which is reported.
        return scale, not math.isnan(lowest) and _is_moderate(lowest)
    moderate = _is_moderate(temperature)
    return 1.0 / temperature, moderate


def _is_moderate(temperature: float) -> bool:
    if not temperature > 0:
        raise ValueError(f"temperature must be a positive number, got {temperature!r}.")
    return 1.0 / temperature <= _MAX_PLAIN_SCALE


class _AnchorInfoNCE(torch.autograd.Function):
    """Loss and gradient in one sweep; backward only multiplies by the incoming gradient."""

    @staticmethod
    def forward(
        ctx: Any,
        z: Tensor,
        a: Tensor,
        scale: float | Tensor,
        mask: Tensor | None,
        softmax_of: tuple[bool, bool],
        chunk_size: int | None,
        plain: bool,
    ) -> Tensor:
        n_modalities, batch, _ = z.shape
        need_grad = any(ctx.needs_input_grad[:3])
        mask = None if mask is None else mask.to(z.dtype)
        chunk = min(batch, chunk_size or max(16, _TILE_SIZE // batch))
        tiles = [slice(j, min(j + chunk, batch)) for j in range(0, batch, chunk)]
        # Exponentials are kept for the second sweep, unless that takes too much memory.
        keep = need_grad and (len(tiles) == 1 or (chunk_size is None and batch**2 <= _KEEP_SIZE))
        # Modalities in one block share every kernel call, which pays while they share the cache.
        step = max(1, min(n_modalities, _TILE_SIZE // (batch * chunk)))
        blocks = [
            _block(
                z[m : m + step],
                a if a.ndim == 2 else a[m : m + step],
                scale[m : m + step, None, None] if isinstance(scale, Tensor) else scale,
                None if mask is None else mask[m : m + step],
                softmax_of,
                tiles,
                keep,
                plain,
                need_grad,
            )
            for m in range(0, n_modalities, step)
        ]
        losses, grad_z, grad_a = (_join(parts, dim=0) for parts in zip(*blocks, strict=True))
        ctx.shared_anchor = a.ndim == 2
        # Logits are z . a times the scale, and each loss is a mean over the rows. As they depend on
        # scale z alone, dL/dscale = <dL/dz, z> / scale.
        mean = 1 / batch if mask is None else 1.0
        factor = scale / batch if mask is None else scale
        grad_scale = (grad_z * z).sum(dim=(1, 2)) * mean if ctx.needs_input_grad[2] else None
        each = factor if isinstance(factor, Tensor) else None  # of shape (n_modalities,)
        ctx.factor = factor if each is None else None
        ctx.save_for_backward(grad_z, grad_a, grad_scale, each)
        return losses

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad_losses: Tensor) -> tuple[Tensor | None, ...]:
        grad_z, grad_a, grad_scale, factor = ctx.saved_tensors
        weight = grad_losses * (ctx.factor if factor is None else factor)
        if ctx.shared_anchor:
            grad_a = (weight @ grad_a.flatten(1)).view(grad_a.shape[1:])
        else:
            grad_a = grad_a * weight[:, None, None]
        grad_scale = None if grad_scale is None else grad_losses * grad_scale
        return grad_z * weight[:, None, None], grad_a, grad_scale, None, None, None, None


def _block(
    z: Tensor,
    a: Tensor,
    scale: float | Tensor,
    mask: Tensor | None,
    softmax_of: tuple[bool, bool],
    tiles: list[slice],
    keep: bool,
    plain: bool,
    need_grad: bool,
) -> tuple[Tensor, Tensor, Tensor]:
    """Compute the losses of a block of modalities, and their gradients in z and the anchors.

    The gradients leave out the factor scale, and 1 / batch where there is no mask.
    """
    scaled, n_positives = z * scale, sum(softmax_of)
    sums, kept = _normalisers(scaled, a, mask, softmax_of, tiles, keep, plain)
    normaliser = reduce(torch.add, [s.log() if plain else s for s in sums.values()])
    per_row = torch.sub(normaliser, (scaled * a).sum(dim=-1), alpha=n_positives)
    share = None
    if mask is None:
        losses = per_row.mean(dim=-1)
    else:
        share = mask / mask.sum(dim=-1, keepdim=True).clamp(min=1)
        losses = (per_row * share).sum(dim=-1)
    if not need_grad:
        return losses, z.new_empty(0), z.new_empty(0)

    # Second sweep: the softmaxes, times the other side. The positives enter on the diagonal, with
    # weight -1 for each softmax.
    if plain:
        sums = {dim: s.reciprocal_() for dim, s in sums.items()}
    total: Any = None  # what the first tile gives starts the sum
    grads_a = []
    for tile, logits in zip(tiles, kept, strict=True):
        if logits is None:
            logits = _tile_logits(scaled, a, mask, tile, plain)
        softmax = _softmax(logits, sums, mask, tile, plain)
        part = matmul(softmax, a[..., tile, :])
        total = part if total is None else total.add_(part)
        grads_a.append(matmul(z.transpose(1, 2), softmax))
    grad_z = total.sub_(a, alpha=n_positives)
    grad_a = _join(grads_a, dim=-1).transpose(1, 2).contiguous().sub_(z, alpha=n_positives)
    if share is not None:
        grad_z, grad_a = grad_z * share[..., None], grad_a * share[..., None]
    return losses, grad_z, grad_a


def _normalisers(
    scaled: Tensor,
    a: Tensor,
    mask: Tensor | None,
    softmax_of: tuple[bool, bool],
    tiles: list[slice],
    keep: bool,
    plain: bool,
) -> tuple[dict[int, Tensor], list[Tensor | None]]:
    """Compute in the first sweep the normalisers of rows and columns that `softmax_of` needs.

    They come by the dimension summed over, -1 for rows, each of shape (block, batch), sums of
    exponentials if `plain` and their logarithms if not; then the logits of each tile or None.
    """
    parts: dict[int, list[Tensor]] = {
        dim: [] for dim, wanted in zip((-1, -2), softmax_of, strict=True) if wanted
    }
    kept: list[Tensor | None] = []
    for tile in tiles:
        logits = _tile_logits(scaled, a, mask, tile, plain)
        for dim, of_tiles in parts.items():
            of_tiles.append(logits.sum(dim=dim) if plain else logits.logsumexp(dim=dim))
        kept.append(logits if keep else None)
    sums = {}
    if -1 in parts:
        sums[-1] = reduce(torch.add if plain else torch.logaddexp, parts[-1])
    if -2 in parts:
        sums[-2] = _join(parts[-2], dim=-1)
    if plain and mask is not None:
        # Missing rows sum to 0; any positive number keeps the logarithm finite.
        sums = {dim: s + (1 - mask) for dim, s in sums.items()}
    return sums, kept


def _softmax(
    logits: Tensor, sums: dict[int, Tensor], mask: Tensor | None, tile: slice, plain: bool
) -> Tensor:
    """Compute the softmax over rows, over columns, or their sum, of one tile.

    `logits` (block, batch, chunk) are overwritten; `sums` are reciprocals if `plain`.
    """
    sides = [s.unsqueeze(-1) if dim == -1 else s[:, tile].unsqueeze(-2) for dim, s in sums.items()]
    if plain:
        return logits.mul_(reduce(torch.add, sides))
    *others, last = sides
    parts = [(logits - side).exp_() for side in others]
    softmax = reduce(torch.Tensor.add_, parts, logits.sub_(last).exp_())
    if mask is not None:
        softmax *= mask[:, :, None] * mask[:, None, tile]
    return softmax


def _join(parts: list[Tensor] | tuple[Tensor, ...], dim: int) -> Tensor:
    return parts[0] if len(parts) == 1 else torch.cat(parts, dim=dim)


def _tile_logits(
    scaled: Tensor, a: Tensor, mask: Tensor | None, tile: slice, plain: bool
) -> Tensor:
    """Compute the logits of one tile, (block, batch, chunk); their exponentials if `plain`."""
    logits = matmul(scaled, a[..., tile, :].transpose(-1, -2))
    if plain:
        logits.exp_()
        if mask is not None:
            logits *= mask[:, :, None]
            logits *= mask[:, None, tile]
    elif mask is not None:
        missing = (mask[:, :, None] * mask[:, None, tile]) == 0
        # Large but finite: -inf - (-inf) in a missing row would be NaN.
        logits.masked_fill_(missing, torch.finfo(logits.dtype).min / 4)
    return logits
