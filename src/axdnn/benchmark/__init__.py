"""Speed of exact simulation on this machine: every path against torch float32, whole networks, threads."""

from axdnn.benchmark.networks import NETWORK_TABLES, measure_networks
from axdnn.benchmark.products import Loop, measure_products
from axdnn.benchmark.report import Selection, measure
from axdnn.benchmark.selection import QUICK_SHAPES, QUICK_TABLES, SHAPES, Shape, circuits
from axdnn.benchmark.summary import chosen, regret, summary, targets, told
from axdnn.benchmark.tables import network_table, product_table, speedup_table, target_table
from axdnn.benchmark.threads import measure_speedup

__all__ = [
    "NETWORK_TABLES", "QUICK_SHAPES", "QUICK_TABLES", "SHAPES", "Loop", "Selection", "Shape", "chosen", "circuits",
    "measure", "measure_networks", "measure_products", "measure_speedup", "network_table", "product_table", "regret",
    "speedup_table", "summary", "target_table", "targets", "told",
]  # fmt: skip
