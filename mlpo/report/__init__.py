"""What a run found, for people: tables, plots and one page. Drawing libraries are imported when something is drawn."""

from mlpo.report.browser import browser_data, choose_cases
from mlpo.report.gallery import Plot, plots, write_plots
from mlpo.report.page import page
from mlpo.report.pooled import pooled_markdown, pooled_png, print_pooled
from mlpo.report.table import difference_cells, print_table, readme_table, strategy_cells
from mlpo.report.training_plots import read_curve

__all__ = [
    "Plot",
    "browser_data",
    "choose_cases",
    "difference_cells",
    "page",
    "plots",
    "pooled_markdown",
    "pooled_png",
    "print_pooled",
    "print_table",
    "read_curve",
    "readme_table",
    "strategy_cells",
    "write_plots",
]
