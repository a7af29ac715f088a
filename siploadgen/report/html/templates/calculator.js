"use strict";
// Traffic arithmetic: busy-hour calls, erlangs, Erlang B and C, nodes.
(function () {
  const MOST_LINES = 5e6;

  // Share of calls that n lines lose when a erlangs are offered (calls that find none go away).
  function erlangB(a, n) {
    let lost = 1;
    for (let line = 1; line <= n; line += 1) lost = (a * lost) / (line + a * lost);
    return lost;
  }

  // Lines needed so that no more than a share of the calls is lost.
  function linesFor(a, share) {
    if (!(a > 0)) return 0;
    let lost = 1;
    for (let line = 1; line <= MOST_LINES; line += 1) {
      lost = (a * lost) / (line + a * lost);
      if (lost <= share) return line;
    }
    return Infinity;
  }

  // Share of calls that must wait for one of n lines or agents (all wait as long as it takes).
  function erlangC(a, n) {
    if (a >= n) return 1;
    const lost = erlangB(a, n);
    return lost / (1 - (a / n) * (1 - lost));
  }

  const field = (id) => document.getElementById("calc-" + id);
  const read = (id) => Math.max(Number(field(id).value) || 0, 0);
  const number = (value, digits) => Number.isFinite(value)
    ? value.toLocaleString("en", { maximumFractionDigits: digits }) : "more than 5,000,000";
  const percent = (share) => share > 0 && share < 1e-6 ? "less than 0.0001 %"
    : Number((100 * share).toPrecision(4)) + " %";
  const say = (id, text) => { document.getElementById("out-" + id).textContent = text; };

  function time(seconds) {
    if (!Number.isFinite(seconds)) return "it never ends: more is offered than can be served";
    return seconds < 1 ? number(1000 * seconds, 1) + " ms" : number(seconds, 2) + " s";
  }

  function compute() {
    const peak = read("bhca") / 3600 * read("peak");
    const hold = read("hold");
    const traffic = peak * hold;
    const lines = Math.min(Math.floor(read("lines")), MOST_LINES);
    const usable = read("capacity") * Math.min(read("use"), 100) / 100;
    const waits = erlangC(traffic, lines);
    const free = lines - traffic;
    say("cps", number(peak, 2) + " calls/s");
    say("erlang", number(traffic, 2) + " erlangs, so many calls open at once on average");
    say("nodes", usable > 0
      ? number(Math.ceil(peak / usable - 1e-9) + Math.floor(read("spare")), 0) : "–");
    say("needed", number(linesFor(traffic, read("block") / 100), 0) + " lines");
    say("block", percent(erlangB(traffic, lines)));
    say("wait", percent(waits));
    say("mean-wait", time(free > 0 ? (waits * hold) / free : Infinity));
    say("served", percent(free > 0 && hold > 0
      ? 1 - waits * Math.exp(-free * read("within") / hold) : 0));
  }

  for (const input of document.querySelectorAll("[id^=calc-]")) {
    input.addEventListener("input", compute);
  }
  compute();
})();
