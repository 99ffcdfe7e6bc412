"""Drawings of a report, as SVG that needs no script and no network.

Belongs here: what is drawn and how it stays readable in black and white, on a phone and in print.
Does not: the figures behind it, which also stand in a table beside each chart. Importing this room loads altair.
"""

import altair as alt
import polars as pl
import vl_convert

from prodlens_pipeline.analysis.readings import SIGNIFICANT
from prodlens_pipeline.reporting.periods import Series
from prodlens_pipeline.reporting.words import label, titled

WIDTH = 440
"""Narrow enough that the letters stay readable when a phone scales the chart down."""
INK, SOFT, SHADE = "#1d3557", "#a9b8cc", "#e9ecf0"
ROLLING_DAYS = 7
MODELS_SHOWN = 8
NAMES_PADDING = 36
"""Room for names in a font that is wider than the one they were measured with."""

Chart = alt.Chart | alt.LayerChart


def trend_chart(series: Series, name: str, target: float | None = None) -> str:
    """Bars per period; by day also the mean of the last seven days, because weekends hide the trend.

    A `target` is a dashed line, in the unit of the bars.
    """
    money = name == "cost_usd"
    rows = series.rows.select("day", pl.col(name).alias("value"))
    day = alt.X("day:T", title=None, axis=alt.Axis(format="%d %b", labelOverlap=True, tickCount=6))
    value = alt.Y(
        "value:Q",
        title=None,
        axis=alt.Axis(format="$,.2~f" if money else ",d", tickCount=4, tickMinStep=0 if money else 1),
    )
    width = max(1.0, 0.7 * (WIDTH - 60) / max(rows.height, 1))
    chart: Chart = alt.Chart(rows).mark_bar(color=SOFT, width=min(width, 24), aria=False).encode(x=day, y=value)
    if series.period == "day":
        mean = rows.with_columns(value=pl.col("value").rolling_mean(ROLLING_DAYS)).drop_nulls()
        chart += alt.Chart(mean).mark_line(color=INK, strokeWidth=2, aria=False).encode(x="day:T", y="value:Q")
    if target is not None:
        line = alt.Chart(pl.DataFrame({"target": [target], "text": ["target"]})).encode(y="target:Q")
        rule = line.mark_rule(color=INK, strokeDash=[5, 4], strokeWidth=1.5, aria=False)
        words = line.mark_text(align="right", baseline="bottom", dx=-2, dy=-2, fontSize=13, aria=False)
        chart += rule + words.encode(x=alt.value("width"), text="text:N")
    return _svg(chart, 150)


def lag_chart(associations: pl.DataFrame, driver: str, outcome: str) -> str | None:
    """Adjusted correlation by lag with 95% intervals; the placebo side is shaded. None where none is defined."""
    rows = associations.filter(
        (pl.col("driver") == driver) & (pl.col("outcome") == outcome) & pl.col("pearson_r").is_not_null()
    ).select("lag", "ci_low", "ci_high", r="pearson_r", significant=pl.col("q_value") < SIGNIFICANT)
    if rows.is_empty():
        return None
    least, most = int(associations["lag"].min()), int(associations["lag"].max())  # type: ignore[arg-type]
    span = alt.Scale(domain=[least - 0.5, most + 0.5], nice=False)
    lag = alt.X(
        "lag:Q",
        scale=span,
        title=f"working days from {label(driver)} to {label(outcome)}",
        axis=alt.Axis(values=list(range(least, most + 1)), format="d", grid=False),
    )
    low, high = min(-0.5, float(rows["ci_low"].min())), max(0.5, float(rows["ci_high"].max()))  # type: ignore[arg-type]
    height = alt.Scale(domain=[low, high])
    placebo = pl.DataFrame({"start": [least - 0.5], "end": [-0.5], "low": [low], "high": [high], "text": ["placebo"]})
    shade = alt.Chart(placebo).mark_rect(color=SHADE, aria=False).encode(x=alt.X("start:Q", scale=span), x2="end:Q")
    words = (
        alt.Chart(placebo)
        .mark_text(align="left", baseline="top", dx=6, dy=6, fontStyle="italic", fontSize=13, color="#444", aria=False)
        .encode(x="start:Q", y=alt.Y("high:Q", scale=height), text="text:N")
    )
    zero = alt.Chart(pl.DataFrame({"zero": [0.0]})).mark_rule(color="#666", aria=False).encode(y="zero:Q")
    base = alt.Chart(rows).encode(x=lag)
    bars = base.mark_rule(color=INK, strokeWidth=1.5, aria=False).encode(
        y=alt.Y("ci_low:Q", scale=height, title="r, 95% interval", axis=alt.Axis(format="+.1f", tickCount=5)),
        y2="ci_high:Q",
    )
    points = base.mark_point(size=70, stroke=INK, strokeWidth=2, opacity=1, aria=False).encode(
        y=alt.Y("r:Q", scale=height),
        fill=alt.condition("datum.significant", alt.value(INK), alt.value("white")),
    )
    return _svg(shade + zero + bars + points + words, 220)


def cost_chart(models: pl.DataFrame) -> str | None:
    """Cost by model, dearest first; None where no cost is known."""
    known = models.drop_nulls("cost_usd").group_by("model").agg(pl.col("cost_usd").sum())
    rows = known.sort("cost_usd", "model", descending=[True, False]).head(MODELS_SHOWN)
    if rows.is_empty():
        return None
    base = alt.Chart(rows).encode(y=alt.Y("model:N", sort=None, title=None, axis=alt.Axis(labelLimit=190, ticks=False)))
    cost = alt.X("cost_usd:Q", title=None, axis=None, scale=alt.Scale(domain=[0, float(rows["cost_usd"].max()) * 1.25]))  # type: ignore[arg-type]
    bars = base.mark_bar(color=SOFT, height=16, aria=False).encode(x=cost)
    text = base.mark_text(align="left", dx=4, fontSize=13, aria=False).encode(
        x=cost, text=alt.Text("cost_usd:Q", format="$,.2f")
    )
    return _svg(bars + text, max(60, 28 * rows.height), left=NAMES_PADDING)


def funnel_chart(funnel: pl.DataFrame) -> str:
    """Pull requests by the stage they reached, in the order of the way; white where it ended or still goes on."""
    rows = funnel.select(
        stage=pl.col("stage").map_elements(titled, return_dtype=pl.String),
        count=pl.col("pull_requests"),
        on_the_way=~pl.col("stage").is_in(["closed", "open"]),
    )
    most = max(1, int(rows["count"].max() or 1))  # type: ignore[arg-type]
    base = alt.Chart(rows).encode(y=alt.Y("stage:N", sort=None, title=None, axis=alt.Axis(labelLimit=190, ticks=False)))
    count = alt.X("count:Q", title=None, axis=None, scale=alt.Scale(domain=[0, most * 1.2]))
    bars = base.mark_bar(height=16, stroke=INK, strokeWidth=1, aria=False).encode(
        x=count, fill=alt.condition("datum.on_the_way", alt.value(SOFT), alt.value("white"))
    )
    text = base.mark_text(align="left", dx=4, fontSize=13, aria=False).encode(x=count, text=alt.Text("count:Q"))
    return _svg(bars + text, 28 * rows.height, left=NAMES_PADDING)


def _svg(chart: Chart, height: int, *, left: int = 4) -> str:
    axis = alt.AxisConfig(
        labelFontSize=13,
        titleFontSize=13,
        titleFontWeight="normal",
        gridColor="#e5e5e5",
        domainColor="#666666",
        aria=False,
    )
    spec = chart.properties(width=WIDTH - 60, height=height).configure(
        font="sans-serif",
        background="white",
        padding={"left": left, "right": 4, "top": 4, "bottom": 4},
        axis=axis,
        view=alt.ViewConfig(stroke=None),
    )
    return vl_convert.vegalite_to_svg(spec.to_dict())
