"""The published systems as short compositions of the packages below."""

from axdnn.methods.run_folder import RunFolder
from axdnn.methods.xai_gen import CALIBRATION_IMAGES, Outcome, splits_of, xai_gen

__all__ = ["CALIBRATION_IMAGES", "Outcome", "RunFolder", "splits_of", "xai_gen"]
