"""Reports: a page of HTML for each run, made from the files in its directory."""

from ._directory import REPORT as REPORT
from ._write import try_report as try_report
from ._write import write_report as write_report
