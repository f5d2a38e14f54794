import io
import subprocess
import sys

from axdnn import report


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_plain_in_a_pipe(small):
    out = io.StringIO()
    report.print_summary(small, out)
    text = out.getvalue()
    assert text == report.summary_text(small)
    assert "\x1b" not in text
    assert "0.42 points" in text
    assert "Status: met. the loss bound" in text
    for layer, name in small.assignment.items():
        assert any(line.split() == [layer, name] for line in text.splitlines())


def test_rich_on_a_terminal(small, strategies, monkeypatch):
    monkeypatch.setenv("COLUMNS", "160")
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.delenv("NO_COLOR", raising=False)
    out = Terminal()
    report.print_summary(small, out)
    report.print_comparison(strategies, out)
    text = out.getvalue()
    assert "\x1b[" in text
    assert "mul8u_QKX" in text
    assert "nsga2" in text


def test_markup_in_names_is_literal(small):
    out = Terminal()
    table = report.Table("[bold]t[/bold]", (report.Column("a", "[red]a"),), (("[link=x]y",),))
    report.print_table(table, out)
    assert "[link=x]y" in out.getvalue()


def test_comparison_text(strategies):
    assert len(report.comparison_text(strategies).splitlines()) == 4 + len(strategies) + 2


def test_import_is_light():
    code = (
        "import sys, axdnn.report; "
        "print([m for m in ('matplotlib', 'jinja2', 'rich', 'torch', 'scipy') if m in sys.modules], "
        "sorted(m for m in sys.modules if m.startswith('axdnn.') and m.split('.')[1] not in ('records', 'report')))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[] []"


def test_the_papers_strategy_brings_the_papers_notes(skipping, small):
    text = report.summary_text(skipping)
    for note in (*report.paper_notes(), *skipping.paper_literal.notes):
        assert note in text.splitlines()
    assert any(line.split() == ["fc2", "mul8u_QKX", "50.0"] for line in text.splitlines())
    assert "minimised: energy by the paper's equations" in text
    other = report.summary_text(small)
    assert report.paper_notes()[0] not in other
    assert "paper_literal on xai_gen" in other
    assert "neurons skipped" not in other
