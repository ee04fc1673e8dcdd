"""An executed notebook as one HTML page that needs nothing else."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import nbformat
from nbconvert.exporters import HTMLExporter

from fame_lab.errors import HostError
from fame_lab.experiments.report.manifest import ReportManifest

__all__ = ["exporter", "page"]

#: What is shown of each result's provenance, and where it stands in its manifest.
_COLUMNS = {
    "nodes": ("spec", "nodes"),
    "accelerator": ("accelerator", "kind"),
    "mapping": ("mapping",),
    "QEMU": ("versions", "qemu"),
    "libvirt": ("versions", "libvirt"),
    "guest kernel": ("versions", "guest_kernel"),
}

# The page asks no other host for anything: a browser is told to refuse it, scripts included. nbconvert's own
# templates do not escape by themselves; what is here does.
_TEMPLATE = """\
{% extends 'lab/index.html.j2' %}
{% block html_head_js %}{% endblock %}
{% block jupyter_widgets %}{% endblock %}
{% block html_head_js_mathjax %}{% endblock %}
{% block html_head_js_mermaidjs %}{% endblock %}
{% block extra_css %}
<meta http-equiv="Content-Security-Policy"
 content="default-src 'none'; img-src data:; style-src 'unsafe-inline'; font-src data:">
<style>
main { max-width: 1040px; margin: auto }
.fame-origin { margin: 3em 1em; font-family: var(--jp-ui-font-family); font-size: .85em }
.fame-origin :is(th, td) { padding: .2em .8em .2em 0; text-align: left; vertical-align: top }
.fame-stopped { border: 2px solid #dc4545; padding: .8em }
</style>
{% endblock %}
{% block data_png scoped %}{% autoescape true %}
<div class="jp-RenderedImage jp-OutputArea-output {{ extra_class }}">
<img alt="Picture that {{ (cell.source.strip().splitlines() or [''])[-1] }} shows"
 src="data:image/png;base64,{{ output.data['image/png'] }}">
</div>
{% endautoescape %}{% endblock %}
{% block body_header %}
{{ super() }}{% autoescape true %}
{% if resources.manifest.stopped %}
<p class="fame-stopped"><strong>{{ resources.manifest.stopped }}</strong></p>
{% endif %}
{% endautoescape %}{% endblock %}
{% block body_footer %}{% autoescape true %}
{% set manifest = resources.manifest %}
<section class="fame-origin">
<h2>Where this comes from</h2>
<table>
<tr><th>notebook</th><td>{{ manifest.notebook }}, sha256 {{ manifest.sha256 }}
{%- if manifest.commit.notebook %}, commit {{ manifest.commit.notebook }}{% endif %}</td></tr>
<tr><th>parameters</th><td>
{%- for name, value in manifest.parameters.items() %}{{ name }} = {{ value | tojson }}<br>{% else -%}
as the notebook has them{% endfor %}</td></tr>
<tr><th>run</th><td>{{ manifest.time.began }} to {{ manifest.time.ended }}</td></tr>
<tr><th>on</th><td>{{ manifest.host.cpu }}, {{ manifest.host.cores }} cores,
{% for name, version in manifest.versions.items() %}{{ name }} {{ version }}{{ ", " if not loop.last }}
{%- endfor %}</td></tr>
<tr><th>again</th><td><code>fame-lab rerun FOLDER</code>, which executes the notebook's code</td></tr>
</table>
{% if resources.rows %}
<table>
<thead><tr><th>cell, text counted</th><th>data</th><th>is</th>
{%- for column in resources.columns %}<th>{{ column }}</th>{% endfor %}</tr></thead>
{% for row in resources.rows %}
<tr>{% for value in row %}<td>{{ value }}</td>{% endfor %}</tr>
{% endfor %}
</table>
{% endif %}
{% if manifest.missing %}
<p class="fame-stopped"><strong>Measured, and could not be saved:
{% for each in manifest.missing %}{{ each.name }} of cell {{ each.cell }}{{ ", " if not loop.last }}
{%- endfor %}</strong></p>
{% endif %}
</section>{% endautoescape %}
{{ super() }}
{% endblock %}
"""


def exporter() -> HTMLExporter:
    """Return the writer of a page.

    Called before a notebook runs, so that no run is lost where no page can be written.

    Raises
    ------
    HostError
        If Jupyter does not find nbconvert's templates.
    """
    try:
        result = HTMLExporter(raw_template=_TEMPLATE, embed_images=True, exclude_anchor_links=True)
    except ValueError as error:
        raise HostError(
            f"nbconvert cannot write a page: {' '.join(str(error).split())}",
            hint=(
                "install nbconvert anew, or let JUPYTER_PATH name the share/jupyter that has its templates"
            ),
        ) from error
    # Widgets and scripts need a script from elsewhere to be shown; each has something plainer beside it.
    result.config.NbConvertBase.display_data_priority = [
        "text/html",
        "text/markdown",
        "image/svg+xml",
        "image/png",
        "image/jpeg",
        "text/latex",
        "text/plain",
    ]
    return result


def page(
    exporter: HTMLExporter, content: nbformat.NotebookNode, directory: Path, manifest: ReportManifest
) -> str:
    """Write a notebook's cells and outputs as HTML, and below them where they come from.

    Parameters
    ----------
    exporter : HTMLExporter
        As :func:`exporter` gives it.
    content : NotebookNode
        Executed, as far as it came.
    directory : path
        Where the pictures lie that its prose shows.
    manifest : ReportManifest
    """
    name = manifest.notebook.removesuffix(".ipynb")
    rows = [
        [
            each["cell"],
            each["directory"],
            each["label"],
            *(_at(each["manifest"], *path) for path in _COLUMNS.values()),
        ]
        for each in manifest.results
    ]
    resources = {
        "metadata": {"name": name, "path": str(directory)},
        "manifest": manifest,
        "columns": list(_COLUMNS),
        "rows": rows,
    }
    html, _ = exporter.from_notebook_node(content, resources)
    return str(html)


def _at(value: Any, *path: str) -> str:
    """Return a value of a manifest, as text. It is empty if missing: a notebook may save any manifest."""
    for key in path:
        value = value.get(key) if isinstance(value, dict) else None
    return "" if value is None else str(value)
