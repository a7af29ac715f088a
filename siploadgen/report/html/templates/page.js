"use strict";
// Unpacks the chart library and the data that stand in this file, and draws. Nothing is fetched.
(function () {
  const state = document.documentElement.dataset;
  const complain = (text) => {
    state.report = "failed";
    for (const box of document.querySelectorAll(".chart")) {
      box.classList.remove("waiting");
      box.textContent = text;
    }
  };

  async function unpack(id) {
    const text = document.getElementById(id).textContent.trim();
    const octets = Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
    const stream = new Blob([octets]).stream().pipeThrough(new DecompressionStream("gzip"));
    return new Response(stream).text();
  }

  const narrow = () => window.innerWidth < 640;

  function layout(chart, width) {
    const small = (width || window.innerWidth) < 640;
    const axes = {};
    for (const [key, axis] of Object.entries(chart.layout)) {
      if (/^[xy]axis/.test(key)) axes[key] = { fixedrange: key[0] === "y" && small, ...axis };
    }
    const shapes = (chart.layout.shapes || []).map((shape) =>
      small && shape.type === "rect" && shape.label ? { ...shape, label: { text: "" } } : shape);
    return {
      ...chart.layout, ...axes, shapes, autosize: true, paper_bgcolor: "rgba(0,0,0,0)",
      plot_bgcolor: "rgba(0,0,0,0)", dragmode: small ? false : "zoom",
      font: { family: getComputedStyle(document.body).fontFamily, size: small ? 11 : 12 },
      margin: { l: small ? 44 : 64, r: small ? 6 : 16, t: 36, b: 44 },
      legend: { orientation: "h", x: 0, y: 1.035, yanchor: "bottom", traceorder: "normal",
        font: { size: 11 } },
    };
  }

  function download(name, kind, text) {
    const link = document.createElement("a");
    link.href = URL.createObjectURL(new Blob([text], { type: kind }));
    link.download = name;
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 1000);
  }

  async function draw(charts) {
    let drawn = 0;
    for (const chart of charts) {
      const box = document.getElementById("chart-" + chart.id);
      if (!box) continue;
      box.classList.remove("waiting");
      await Plotly.newPlot(box, chart.data, layout(chart), {
        responsive: true, displaylogo: false, plotlyServerURL: "", displayModeBar: narrow() ? false : "hover",
        modeBarButtons: [["toImage", "zoom2d", "pan2d", "resetScale2d"]],
      });
      box.on("plotly_click", (event) => {
        const row = document.getElementById("level-" + event.points[0].customdata);
        if (row) location.hash = row.id;
      });
      drawn += 1;
    }
    state.charts = drawn;
    const boxes = () => Array.from(document.querySelectorAll(".js-plotly-plot"));
    window.addEventListener("beforeprint", () => {
      for (const fold of document.querySelectorAll("details.print")) fold.open = true;
      for (const box of boxes()) Plotly.relayout(box, { autosize: false, width: 680 });
    });
    window.addEventListener("afterprint", () => {
      for (const box of boxes()) Plotly.relayout(box, { autosize: true, width: null });
    });
  }

  async function start() {
    if (typeof DecompressionStream === "undefined") {
      complain("This browser is too old to unpack the charts (it has no DecompressionStream).");
      return;
    }
    const data = JSON.parse(await unpack("data"));
    for (const button of document.querySelectorAll("button[data-file]")) {
      button.addEventListener("click", () => {
        const file = data.files[button.dataset.file];
        download(button.dataset.file, file.kind, file.text);
      });
    }
    if (document.getElementById("library")) {
      const script = document.createElement("script");
      script.textContent = await unpack("library");
      document.head.append(script);
      await draw(data.charts);
    }
    state.report = "ready";
  }

  start().catch((error) => complain("The charts could not be drawn: " + error));
})();
