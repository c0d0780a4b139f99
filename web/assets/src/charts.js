import { BarChart, FunnelChart, LineChart } from "echarts/charts";
import { GridComponent, LegendComponent, TooltipComponent } from "echarts/components";
import { init, use } from "echarts/core";
import { CanvasRenderer } from "echarts/renderers";

use([BarChart, FunnelChart, LineChart, GridComponent, LegendComponent, TooltipComponent, CanvasRenderer]);

const SERIES = ["--leaf", "--sun", "--brick", "--ink-muted", "--leaf-deep", "--good", "--bad"];
const MOST_BARS = 10;

/** Draw the charts in `box`, each from the table that it names: `draw` again when a table has changed. */
export function charts(box) {
  const shown = [...box.querySelectorAll("[data-chart]")].map((place) => {
    place.hidden = false;
    return { place, chart: init(place), fresh: true };
  });
  const calm = matchMedia("(prefers-reduced-motion: reduce)");

  function draw() {
    const look = theLook();
    for (const one of shown) {
      const table = read(document.getElementById(one.place.dataset.table));
      const options = one.place.dataset.chart === "funnel" ? funnel(table, look) : axes(one.place.dataset, table, look);
      if (one.fresh && options.legend) options.legend.selected = atFirst(table); // what is chosen later stays chosen
      one.fresh = false;
      one.chart.setOption({ ...common(look), animation: !calm.matches, ...options }, { replaceMerge: ["series"] });
    }
  }

  const resized = new ResizeObserver((entries) => {
    for (const { target } of entries) shown.find(({ place }) => place === target)?.chart.resize();
  });
  for (const { place } of shown) resized.observe(place);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", draw);
  draw();
  return { draw };
}

/** What a table says: the names of its rows, and of each column that is drawn its name and its numbers. */
function read(table) {
  const rows = [...table.tBodies[0].rows];
  const heads = [...table.tHead.rows[0].cells];
  return {
    names: rows.map((row) => row.cells[0].textContent),
    series: heads.flatMap((head, n) =>
      head.dataset.series
        ? {
            name: head.textContent,
            shown: head.dataset.series === "on",
            values: rows.map(({ cells }) => ("value" in cells[n].dataset ? Number(cells[n].dataset.value) : null)),
          }
        : [],
    ),
  };
}

function atFirst({ series }) {
  return Object.fromEntries(series.map(({ name, shown }) => [name, shown]));
}

/** The page's colours and letters, dark or light as it is. */
function theLook() {
  const style = getComputedStyle(document.documentElement);
  const token = (name) => style.getPropertyValue(name).trim();
  return {
    colours: SERIES.map(token),
    ink: token("--ink"),
    muted: token("--ink-muted"),
    line: token("--line"),
    surface: token("--surface"),
    font: getComputedStyle(document.body).fontFamily,
  };
}

function common({ colours, ink, line, surface, font }) {
  return {
    color: colours,
    textStyle: { fontFamily: font, color: ink },
    // Drawn on the canvas: the other way writes styles into the page, which its policy forbids.
    tooltip: {
      trigger: "axis", renderMode: "richText", confine: true, backgroundColor: surface, borderColor: line,
      textStyle: { color: ink },
    },
  };
}

function axes({ chart, across, up }, { names, series }, look) {
  const lying = chart === "across";
  const colours = new Map(
    [...series].sort((a, b) => b.shown - a.shown).map(({ name }, n) => [name, look.colours[n % look.colours.length]]),
  );
  const kept = lying ? longest(series, names) : names.map((_, n) => n);
  const category = {
    type: "category", data: kept.map((n) => names[n]), inverse: lying, name: across, nameLocation: lying ? "start" : "middle",
    nameGap: lying ? 12 : 28, nameTextStyle: { color: look.muted }, axisLine: { lineStyle: { color: look.line } },
    axisLabel: { color: look.muted, hideOverlap: true, ...(lying && { width: 96, overflow: "truncate" }) },
  };
  const value = {
    type: "value", name: up, nameLocation: lying ? "middle" : "end", nameGap: lying ? 28 : 12, minInterval: 1,
    nameTextStyle: { color: look.muted, ...(!lying && { align: "left" }) },
    axisLabel: { color: look.muted, hideOverlap: true }, splitLine: { lineStyle: { color: look.line } },
  };
  return {
    legend: {
      type: "scroll", top: 0, textStyle: { color: look.ink }, inactiveColor: look.line, pageTextStyle: { color: look.muted },
      pageIconColor: look.ink,
    },
    grid: { top: 64, left: 12, right: 16, bottom: 32, containLabel: true },
    xAxis: lying ? value : category,
    yAxis: lying ? category : value,
    series: series.map(({ name, values }) => ({
      id: name, name, color: colours.get(name), type: chart === "line" ? "line" : "bar", data: kept.map((n) => values[n]), showSymbol: kept.length < 3,
    })),
  };
}

/** The rows with the largest numbers, as many as there is room for, in the order of the table. */
function longest(series, names) {
  const size = (n) => Math.max(0, ...series.filter(({ shown }) => shown).map(({ values }) => values[n] ?? 0));
  return names
    .map((_, n) => n)
    .sort((a, b) => size(b) - size(a))
    .slice(0, MOST_BARS)
    .sort((a, b) => a - b);
}

function funnel({ names, series: [{ name, values }] }, look) {
  return {
    tooltip: { trigger: "item", renderMode: "richText", confine: true, backgroundColor: look.surface,
               borderColor: look.line, textStyle: { color: look.ink } },
    series: [{
      id: name, name, type: "funnel", sort: "none", gap: 4, left: 8, right: "38%", top: 8, bottom: 8, minSize: "4%",
      label: { position: "right", color: look.ink, formatter: "{b} {c}" },
      labelLine: { show: false }, itemStyle: { borderWidth: 0 },
      data: names.map((step, n) => ({ name: step, value: Math.max(0, values[n]) })),
    }],
  };
}
