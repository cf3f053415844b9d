#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""plot.py - recall against queries per second as an SVG picture, without a plotting library.

    plot.py RESULTS.jsonl PICTURE.svg      # draws the peer_search rows of a results file again

Up and to the right is better. Queries per second are on a logarithmic scale; recall is stretched
towards 1, by its distance from it, because .99 is as far from .999 as .9 is from .99.
"""
import json
import math
import sys
from html import escape

WIDTH, HEIGHT, LEFT, TOP, RIGHT, BOTTOM = 960, 560, 80, 50, 190, 60
RECALL_MIN, RECALL_MAX = 0.80, 0.999
RECALL_TICKS = (0.8, 0.9, 0.95, 0.98, 0.99, 0.995, 0.999)
COLOURS = ("#d62728", "#1f77b4", "#2ca02c", "#9467bd", "#8c564b", "#e377c2", "#7f7f7f", "#bcbd22",
           "#17becf", "#ff7f0e")


def stretched(recall):
    return -math.log10(1 - min(recall, RECALL_MAX))


def x_of(recall):
    low, high = stretched(RECALL_MIN), stretched(RECALL_MAX)
    return LEFT + (stretched(recall) - low) / (high - low) * (WIDTH - LEFT - RIGHT)


def y_of(qps, low, high):
    share = (math.log10(qps) - math.log10(low)) / (math.log10(high) - math.log10(low))
    return HEIGHT - BOTTOM - share * (HEIGHT - TOP - BOTTOM)


def axes(low, high, title):
    parts = [f'<text x="{LEFT}" y="28" font-size="15">{escape(title)}</text>',
             f'<text x="{(WIDTH - RIGHT + LEFT) / 2}" y="{HEIGHT - 15}" text-anchor="middle">'
             'recall@10</text>',
             f'<text x="18" y="{HEIGHT / 2}" text-anchor="middle" '
             f'transform="rotate(-90 18 {HEIGHT / 2})">queries per second of CPU time</text>']
    for recall in RECALL_TICKS:
        x = x_of(recall)
        parts.append(f'<path class="grid" d="M{x:.1f} {TOP}V{HEIGHT - BOTTOM}"/>'
                     f'<text x="{x:.1f}" y="{HEIGHT - BOTTOM + 18}" text-anchor="middle">'
                     f'{recall:g}</text>')
    for power in range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1):
        for step in (1, 2, 5):
            qps = step * 10 ** power
            if not low <= qps <= high:
                continue
            y = y_of(qps, low, high)
            parts.append(f'<path class="grid" d="M{LEFT} {y:.1f}H{WIDTH - RIGHT}"/>'
                         f'<text x="{LEFT - 8}" y="{y + 4:.1f}" text-anchor="end">{qps:,}</text>')
    return parts


def line_of(number, peer, points, low, high):
    colour = COLOURS[number % len(COLOURS)]
    dash = ' stroke-dasharray="6 3"' if number >= len(COLOURS) else ""
    width = 3.5 if peer.startswith("octant") else 1.6
    places = [(x_of(recall), y_of(qps, low, high)) for recall, qps in points]
    path = "M" + "L".join(f"{x:.1f} {y:.1f}" for x, y in places)
    dots = "".join(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="2.4" fill="{colour}"/>'
                   for x, y in places)
    y = TOP + 10 + 20 * number
    return (f'<path d="{path}" fill="none" stroke="{colour}" stroke-width="{width}"{dash}/>{dots}'
            f'<path d="M{WIDTH - RIGHT + 15} {y}h26" stroke="{colour}" stroke-width="{width}"'
            f'{dash}/><text x="{WIDTH - RIGHT + 48}" y="{y + 4}">{escape(peer)}</text>')


def plot_curves(path, title, curves):
    """curves: by name, rows with recall and qps. Nothing below RECALL_MIN is shown."""
    shown = {peer: sorted((row["recall"], row["qps"]) for row in curve
                          if row["recall"] >= RECALL_MIN) for peer, curve in curves.items()}
    shown = {peer: points for peer, points in shown.items() if points}
    every = [qps for points in shown.values() for _, qps in points]
    low, high = min(every) * 0.8, max(every) * 1.25
    parts = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" '
             f'width="{WIDTH}" height="{HEIGHT}" font-family="sans-serif" font-size="12">',
             "<style>.grid{stroke:#ddd;fill:none}</style>",
             f'<rect width="{WIDTH}" height="{HEIGHT}" fill="#fff"/>', *axes(low, high, title)]
    order = sorted(shown, key=lambda peer: (not peer.startswith("octant"), peer))
    parts += [line_of(number, peer, shown[peer], low, high) for number, peer in enumerate(order)]
    with open(path, "w", encoding="utf-8") as file:
        file.write("\n".join([*parts, "</svg>\n"]))


def main():
    curves = {}
    with open(sys.argv[1], encoding="utf-8") as lines:
        for row in map(json.loads, lines):
            if row["bench"] in ("peer_search", "wasm_search"):
                curves.setdefault(row["peer"], []).append(row)
    plot_curves(sys.argv[2], "10 nearest, cosine, one thread, one query a call", curves)


if __name__ == "__main__":
    main()
