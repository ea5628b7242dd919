"""Runs tutorials as a reader would, in a kernel: `python tools/tutorials.py [--fresh] [quickstart ...]`.

With `--fresh` as in Colab: the wheel that `python -m build` makes, installed into an environment of its own (out/fresh), with nothing of
this folder beside the notebook."""
import json, os, re, shutil, subprocess, sys, sysconfig, time
from argparse import ArgumentParser
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
import nbformat
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError, CellTimeoutError, DeadKernelError

ROOT = Path(__file__).resolve().parent.parent
PAGES, OUT = ROOT/'nbs'/'tutorials', ROOT/'out'/'tutorials'

def run(page, out=OUT, kernel='python3', timeout=600):
    "Execute a page in an empty folder; gives which of its visible cells show a video, from 1"
    nb, t = nbformat.read(page, 4), time.monotonic()
    out.mkdir(parents=True, exist_ok=True)
    NotebookClient(nb, timeout=timeout, kernel_name=kernel, resources=dict(metadata=dict(path=str(out)))).execute()
    nbformat.write(nb, out/page.name)
    cells = [c for c in nb.cells if c.cell_type == 'code' and not c.source.startswith('#| hide')]
    videos = [i for i, c in enumerate(cells, 1) if '<video' in str(c.outputs)]
    print(f"{page.name}: {len(cells)} cells, videos in {videos or 'none'}, {time.monotonic() - t:.0f} s", flush=True)
    return videos

def tried(page, kernel)->bool:
    "Whether a page runs to its end; one that fails is told of and ends nothing"
    try: run(page, kernel=kernel)
    except (CellExecutionError, CellTimeoutError, DeadKernelError) as e:
        print(f'{page.name}: failed\n{e}', flush=True)
        return False
    return True

def extras()->str:
    "What the first cells of the pages install, together"
    code = [c.source for p in PAGES.glob('*.ipynb') for c in nbformat.read(p, 4).cells if c.cell_type == 'code' and 'lipsync_kit[' in c.source]
    return ','.join(sorted({e for c in code for e in re.search(r'lipsync_kit\[([\w,]+)\] @', c)[1].split(',')}))

def call(*words, cwd:Path):
    "Run a program that sees nothing of this working tree"
    env = {k: v for k, v in os.environ.items() if k != 'PYTHONPATH'}
    done = subprocess.run(list(map(str, words)), cwd=cwd, env=env, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    if done.returncode: sys.exit(f"{' '.join(map(str, words))}\n{done.stdout}")

def wheel(folder:Path)->Path:
    "The wheel of this working tree, built with `python -m build`, or with pip where that is not installed"
    left = ROOT/'build'
    shutil.rmtree(left, ignore_errors=True)      # of an older state
    here = ['--no-isolation'] if find_spec('setuptools') and int(version('setuptools').split('.')[0]) >= 77 else []
    if find_spec('build'): call(sys.executable, '-m', 'build', '--wheel', *here, '--outdir', folder, ROOT, cwd=folder)
    else: call(sys.executable, '-m', 'pip', 'wheel', '--no-deps', '-q', '-w', folder, ROOT, cwd=folder)
    shutil.rmtree(left, ignore_errors=True)
    return next(folder.glob('lipsync_kit-*.whl'))

def fresh(folder:Path, lend:bool=False)->str:
    "An environment with the wheel, and the name of its kernel; `lend` shares the packages of this environment instead of installing them"
    folder.mkdir(parents=True, exist_ok=True)
    call(sys.executable, '-m', 'venv', folder/'env', cwd=folder)
    python = folder/'env'/'bin'/'python'
    made = wheel(folder)
    pip = [python, '-m', 'pip', '--disable-pip-version-check', 'install', '-q']
    if lend:
        call(*pip, '--no-deps', made, cwd=folder)
        site = next((folder/'env'/'lib').glob('python*/site-packages'))
        (site/'lent.pth').write_text(sysconfig.get_path('purelib') + '\n')
    else: call(*pip, '-c', ROOT/'constraints.txt', f'{made}[{extras()}]', 'ipykernel', cwd=folder)
    spec = folder/'share'/'kernels'/'fresh'
    spec.mkdir(parents=True)
    env = dict(PYTHONPATH='', MPLBACKEND='module://matplotlib_inline.backend_inline')
    (spec/'kernel.json').write_text(json.dumps(dict(argv=[str(python), '-m', 'ipykernel_launcher', '-f', '{connection_file}'],
                                                    display_name='fresh', language='python', env=env)))
    os.environ['JUPYTER_PATH'] = str(folder/'share')
    return 'fresh'

if __name__ == '__main__':
    parser = ArgumentParser(description=__doc__)
    parser.add_argument('page', nargs='*', help='a part of its name; left out: all')
    parser.add_argument('--fresh', action='store_true', help='in an environment of its own')
    given = parser.parse_args()
    pages = [p for p in sorted(PAGES.glob('*.ipynb')) if not given.page or any(w in p.name for w in given.page)]
    if not pages: parser.error(f"no tutorial has {' or '.join(given.page)} in its name")
    kernel = fresh(ROOT/'out'/'fresh') if given.fresh else 'python3'
    failed = [page.name for page in pages if not tried(page, kernel)]
    if failed: sys.exit(f"{len(failed)} of {len(pages)} tutorials failed: {', '.join(failed)}")
