"""The objective of binding: every modality learns towards an anchor."""

from skcentrobind.losses._base import BaseLoss
from skcentrobind.losses._functional import anchor_info_nce
from skcentrobind.losses._temperature import of_members


class AnchorLoss(BaseLoss):
    """Sum over the modalities of the InfoNCE to their anchor, by default in both directions.

    Parameters
    ----------
    anchor : BaseAnchor
        Its `targets(z, present, generator)` are objects with `embeddings`,
        `members`, `present` and `weight`.
    temperature : float, list of float, dict of float or Temperature
        Divides the inner products. Of several, each modality takes its own.
    detach_anchor : bool, default=False
        Whether the anchor is a constant for the gradient.
    bounded : bool, default=False
        Whether anchors are at most 2 long, see `anchor_info_nce`.
    direction : {"both", "from_anchor", "to_anchor"}, default="both"
        Whether anchors look for rows, rows for anchors, or both, see `anchor_info_nce`.

    References
    ----------
    Jeong et al., "Anchors Aweigh! Sail for Optimal Unified Multi-Modal Representations",
    `arXiv:2410.02086 <https://arxiv.org/abs/2410.02086>`_, equation (8).

    Examples
    --------
    >>> import torch
    >>> from skcentrobind.anchors import MeanAnchor
    >>> from skcentrobind.losses import AnchorLoss
    >>> z = torch.eye(4).expand(3, 4, 4)
    >>> bool(AnchorLoss(MeanAnchor(), temperature=0.1)(z, z, None, torch.Generator()) < 1e-2)
    True
    """

    def __init__(self, anchor, temperature, detach_anchor=False, bounded=False, direction="both"):
        super().__init__(temperature)
        self.anchor = anchor
        self.detach_anchor = detach_anchor
        self.bounded = bounded
        self.direction = direction

    def prepare(self, names):
        """Introduce the modalities to the temperature and to the anchor."""
        super().prepare(names)
        self.anchor.prepare(names)

    def frozen(self):
        """Return the positions that the anchor freezes."""
        return self.anchor.frozen()

    def sources(self):
        """Return the positions of the modalities that make up the anchor."""
        return self.anchor.sources()

    @property
    def frozen_step(self):
        """The modality that the anchor freezes in the present step, or None."""
        return self.anchor.frozen_step

    def forward(self, z, z_augmented, present, generator):
        """Equation (8) of the paper or one half of it, summed over the modalities."""
        temperature, terms = self.temperature.value(), []
        for target in self.anchor.targets(z_augmented, present, generator):
            anchor = target.embeddings.detach() if self.detach_anchor else target.embeddings
            members = z if target.members is None else z[target.members]
            losses = anchor_info_nce(
                members,
                anchor,
                of_members(temperature, target.members),
                direction=self.direction,
                present=_rows(present, target),
                bounded=self.bounded,
            )
            term = losses.sum()
            terms.append(term if target.weight == 1 else target.weight * term)
        return sum(terms[1:], terms[0])


def _rows(present, target):
    """Rows that have both the modality and the target, (n_members, batch) or None."""
    if present is None:
        return None
    if target.members is not None:
        present = present[target.members]
    return present if target.present is None else present & target.present
