# The one table of public names, one row per name; see `_public.py`.
from skcentrobind import anchors as anchors
from skcentrobind import datasets as datasets
from skcentrobind import losses as losses
from skcentrobind import metrics as metrics
from skcentrobind import model_selection as model_selection
from skcentrobind import plotting as plotting
from skcentrobind._data.modalities import Modalities as Modalities
from skcentrobind._data.obsm import to_obsm as to_obsm
from skcentrobind._data.per_modality import PerModality as PerModality
from skcentrobind._estimators.centrobind import CentroBindTransformer as CentroBindTransformer
from skcentrobind._estimators.fixed_anchor import (
    FixedAnchorBindTransformer as FixedAnchorBindTransformer,
)
from skcentrobind._estimators.gramian import GramianBindTransformer as GramianBindTransformer
from skcentrobind._estimators.load import load as load
from skcentrobind._estimators.pairwise import PairwiseBindTransformer as PairwiseBindTransformer
from skcentrobind._estimators.principal import PrincipalBindTransformer as PrincipalBindTransformer
from skcentrobind._estimators.symile import SymileBindTransformer as SymileBindTransformer
from skcentrobind._public import __version__ as __version__
from skcentrobind._report.describe import describe as describe
