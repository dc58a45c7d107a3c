"""The frame of every drawing in docs/figures: one look, whoever draws."""
WIDTH, HEIGHT, LEFT, BOTTOM, TOP = 640, 360, 70, 60, 40
STYLE = "<style>text{font:13px sans-serif;fill:#222}.axis{stroke:#888}.grid{stroke:#ddd}.theory{stroke:#c60;fill:none}" \
        ".bar{fill:#48a}.mark{fill:#48a}.best{stroke:#c60;stroke-dasharray:4 3}</style>"


def svg(title, body):
    return (f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{title}">'
            f'{STYLE}<rect width="{WIDTH}" height="{HEIGHT}" fill="#fff"/>'
            f'<text x="{LEFT}" y="22" font-weight="bold">{title}</text>{"".join(body)}</svg>\n')
