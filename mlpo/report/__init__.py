"""What a run found, for people: tables, plots and one page. Drawing libraries are imported when something is drawn."""

from mlpo.report.files import write_report
from mlpo.report.page import choose_cases
from mlpo.report.pooled import print_pooled
from mlpo.report.table import difference_cells, print_table, readme_table, strategy_cells

__all__ = [
    "choose_cases",
    "difference_cells",
    "print_pooled",
    "print_table",
    "readme_table",
    "strategy_cells",
    "write_report",
]
