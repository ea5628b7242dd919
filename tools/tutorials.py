"Runs tutorials in a kernel of this environment, as a reader of JupyterLab would: `python tools/tutorials.py [quickstart ...]`."
import sys, time
from pathlib import Path
import nbformat
from nbclient import NotebookClient

PAGES, OUT = Path('nbs/tutorials'), Path('out/tutorials')

def run(page):
    nb, t = nbformat.read(page, 4), time.monotonic()
    NotebookClient(nb, timeout=600, kernel_name='python3', resources=dict(metadata=dict(path=str(OUT)))).execute()
    nbformat.write(nb, OUT/page.name)
    videos = sum('<video' in str(o) for c in nb.cells for o in c.get('outputs', ()))
    print(f'{page.name}: {len(nb.cells)} cells, {videos} videos, {time.monotonic() - t:.0f} s', flush=True)

if __name__ == '__main__':
    OUT.mkdir(parents=True, exist_ok=True)
    wanted = sys.argv[1:]
    for page in sorted(PAGES.glob('*.ipynb')):
        if not wanted or any(w in page.name for w in wanted): run(page)
