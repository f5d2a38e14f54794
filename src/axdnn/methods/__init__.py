"""The published systems as short compositions of the packages below; what a run chose, rebuilt and simulated."""

from axdnn.methods.attacking import attack
from axdnn.methods.comparison import Comparison, compare
from axdnn.methods.fine_tuned import TuningRequest, usual_augmentation
from axdnn.methods.fronts import Front, xai_gen_front
from axdnn.methods.generated import Generated, generate
from axdnn.methods.robust_xai_nas import ARMS as ROBUST_ARMS
from axdnn.methods.robust_xai_nas import Ratio, RobustOptions, default_options, robust_ratios, robust_xai_nas
from axdnn.methods.run_folder import RunFolder
from axdnn.methods.saved_run import Rebuilt, load_run, rebuild
from axdnn.methods.searched import Searched, SearchFolder, SearchOptions
from axdnn.methods.simulation import Simulation, simulate
from axdnn.methods.xai_gen import CALIBRATION_IMAGES, Outcome, splits_of, xai_gen
from axdnn.methods.xai_nas import ARMS as XAI_NAS_ARMS
from axdnn.methods.xai_nas import XaiNasRequest, xai_nas

__all__ = [
    "CALIBRATION_IMAGES", "ROBUST_ARMS", "XAI_NAS_ARMS", "Comparison", "Front", "Generated", "Outcome", "Ratio",
    "Rebuilt", "RobustOptions", "RunFolder", "SearchFolder", "SearchOptions", "Searched", "Simulation", "TuningRequest",
    "XaiNasRequest", "attack", "compare", "default_options", "generate", "load_run", "rebuild", "robust_ratios",
    "robust_xai_nas", "simulate", "splits_of", "usual_augmentation", "xai_gen", "xai_gen_front", "xai_nas",
]  # fmt: skip
