"A page imports only from lines above its own; inside a folder, only from pages with a lower number."
import ast, json
from pathlib import Path
from statistics import median
import pytest

ROOT = Path(__file__).parent.parent
LIB, NBS = ROOT/'lipsync_kit', ROOT/'nbs'
LINES = [s.split() for s in '''core
params logs flow registry display
hub
media audio
trust
nn
faces
onnx_export motion models.contract models.settings models.identity
avatar
effects
models speech
metrics
select train
pipe
doctor benchmark batch live
webapp
app serve
app
widgets cli'''.splitlines()]

def line(module):
    "The line of a module: that of its own name where it has one, else of its folder"
    names = module, module.split('.')[0]
    return next((i for name in names for i, line in enumerate(LINES) if name in line), None)

def modules(): return {'.'.join(p.relative_to(LIB).with_suffix('').parts): p for p in LIB.rglob('*.py') if p.name[0] != '_'}

def imported(path):
    here = path.relative_to(LIB).with_suffix('').parts
    for x in ast.walk(ast.parse(path.read_text())):
        if isinstance(x, ast.Call) and getattr(x.func, 'id', '') == 'import_module' and isinstance(x.args[0], ast.Constant):
            if x.args[0].value.startswith('lipsync_kit.'): yield x.args[0].value.removeprefix('lipsync_kit.')
        if isinstance(x, ast.Import):
            yield from (a.name.removeprefix('lipsync_kit.') for a in x.names if a.name.startswith('lipsync_kit.'))
        if not isinstance(x, ast.ImportFrom): continue
        if x.level: yield '.'.join((*here[:len(here)-x.level], *filter(None, (x.module or '').split('.'))))
        elif (x.module or '').startswith('lipsync_kit.'): yield x.module.removeprefix('lipsync_kit.')

def page_order():
    "Module name -> its notebook's place in the sorted list of pages"
    order = {}
    for i, nb in enumerate(sorted(NBS.rglob('*.ipynb'))):
        for l in nb.read_text().splitlines():
            if '#| default_exp ' in l: order[l.split('#| default_exp ')[1].split('"')[0].replace('\\n', '').strip()] = i
    return order

@pytest.mark.parametrize('module', sorted(modules()))
def test_imports_point_down(module):
    order = page_order()
    assert line(module) is not None, f'{module} has no line in the plan'
    for other in filter(None, imported(modules()[module])):   # '' is the package itself
        if module.split('.')[0] == other.split('.')[0] and '.' in module and '.' in other:
            assert order[other] < order[module], f'{module} must not import {other}, a later page of its folder'
        else: assert line(other) is not None and line(other) < line(module), f'{module} must not import {other}'

def test_every_module_has_its_page(): assert set(modules()) == set(page_order())

def exported_cells():
    "Page and source of each exported cell"
    for nb in sorted(NBS.rglob('*.ipynb')):
        for c in json.loads(nb.read_text())['cells']:
            source = ''.join(c['source'])
            if c['cell_type'] == 'code' and '#| export' in source: yield nb.relative_to(NBS), source

def test_lines_are_at_most_120_characters_long():
    long = [f'{page}: {line}' for page, source in exported_cells() for line in source.splitlines() if len(line) > 120]
    assert not long, '\n'.join(long)

def test_functions_are_short():
    lengths = {}
    for page, source in exported_cells():
        for x in ast.walk(ast.parse(source)):
            if isinstance(x, ast.FunctionDef | ast.AsyncFunctionDef): lengths[page, x.name, x.lineno] = x.end_lineno - x.lineno + 1
    long = {k: n for k, n in lengths.items() if n > 40}
    assert not long and median(lengths.values()) <= 8, (long, median(lengths.values()))
