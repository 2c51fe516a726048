"""Formulas as MathML, which browsers draw by themselves: no script, no fonts from elsewhere."""

from docutils import nodes

__all__ = ["setup"]


def setup(app):
    """Add the way to draw formulas."""
    app.add_html_math_renderer(
        "mathml", inline_renderers=(_inline, None), block_renderers=(_block, None)
    )
    app.add_config_value("bayesinf_reports", "", "html")
    app.config.html_math_renderer = "mathml"


def _mathml(latex, display):
    from latex2mathml.converter import convert

    return convert(latex.strip(), display=display)


def _inline(writer, node):
    writer.body.append(_mathml(node.astext(), "inline"))
    raise nodes.SkipNode


def _block(writer, node):
    writer.body.append(f'<div class="formula">{_mathml(node.astext(), "block")}</div>')
    raise nodes.SkipNode
