"""Data sets, read where they lie: MVTec AD, VisA, plain folders and manifests become the same samples."""

from detector.data.errors import DataError
from detector.data.masks import read_mask
from detector.data.readers import open_data
from detector.data.sample import GOOD, DataSet, Sample

__all__ = ["GOOD", "DataError", "DataSet", "Sample", "open_data", "read_mask"]
