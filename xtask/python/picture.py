"""Draws terminal output as an SVG, for the README:

    topwork tune … 2>&1 | python xtask/python/picture.py "topwork tune …" docs/tune.svg
"""
import html
import pathlib
import sys

WIDTH, LINE, SIZE, MARGIN = 8.05, 19, 13.4, 18


def main():
    command, target = sys.argv[1:]
    lines = [f"$ {command}"] + sys.stdin.read().rstrip().splitlines()
    width = max(map(len, lines)) * WIDTH + 2 * MARGIN
    height = len(lines) * LINE + 2 * MARGIN
    rows = []
    for number, line in enumerate(lines):
        color = "#8ec07c" if number == 0 else "#fabd2f" if line.startswith(("proved", "saved")) else "#ebdbb2"
        y = MARGIN + LINE * number + SIZE
        rows.append(f'<text x="{MARGIN}" y="{y:.1f}" fill="{color}" xml:space="preserve">{html.escape(line)}</text>')
    svg = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:.0f} {height:.0f}" width="{width:.0f}" role="img">\n'
        f"<title>{html.escape(command)}</title>\n"
        f'<rect width="100%" height="100%" rx="8" fill="#282828"/>\n'
        f'<g font-family="ui-monospace, Menlo, Consolas, DejaVu Sans Mono, monospace" font-size="{SIZE}">\n'
        + "\n".join(rows) + "\n</g>\n</svg>\n")
    pathlib.Path(target).write_text(svg, encoding="utf-8")


if __name__ == "__main__":
    main()
