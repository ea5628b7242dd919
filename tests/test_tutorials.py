"The tutorials show the public side of the package: what a reader sees has no test helpers and no plumbing."
import ast, json, re
from configparser import ConfigParser
from pathlib import Path
import pytest

ROOT = Path(__file__).parent.parent
PAGES = sorted((ROOT/'nbs'/'tutorials').glob('*.ipynb'))
QUICKSTART = PAGES[0]

def cells(page): return [c for c in json.loads(page.read_text())['cells'] if c['cell_type'] == 'code']

def source(c): return ''.join(c['source'])

def visible(page): return [c for c in cells(page) if not source(c).startswith('#| hide')]

@pytest.mark.parametrize('page', PAGES, ids=lambda p: p.stem)
def test_visible_cells_have_no_plumbing(page):
    for c in visible(page):
        tree = ast.parse(source(c))
        named = {n.id for n in ast.walk(tree) if isinstance(n, ast.Name)}
        imported = {a.name.split('.')[0] for n in ast.walk(tree) if isinstance(n, ast.Import) for a in n.names}
        imported |= {n.module.split('.')[0] for n in ast.walk(tree) if isinstance(n, ast.ImportFrom)}
        assert not imported & {'cv2', 'io'} and 'cv2' not in named, source(c)
        assert not any(n.startswith('test_') for n in named) and not any(isinstance(n, ast.Assert) for n in ast.walk(tree)), source(c)
        private = [a.name for n in ast.walk(tree) if isinstance(n, ast.ImportFrom) for a in n.names if a.name.startswith('_')]
        assert not private, source(c)

@pytest.mark.parametrize('page', PAGES, ids=lambda p: p.stem)
def test_a_page_runs_without_the_tools_of_developers(page):
    assert not re.search('fastcore|nbdev|pytest|skimage', ' '.join(map(source, cells(page))))

@pytest.mark.parametrize('page', PAGES, ids=lambda p: p.stem)
def test_a_page_has_pictures_and_stays_small(page):
    outputs = [o for c in cells(page) for o in c['outputs']]
    assert page.stat().st_size < 400_000 and any({'image/jpeg', 'image/png'} & set(o.get('data', ())) for o in outputs)
    assert not any('<video' in str(o) for o in outputs)

def shows_video(c):
    "A stored page has a strip of moments where a running one has the player; a panel makes its video at a press of its button"
    plain = ' '.join(''.join(o.get('data', {}).get('text/plain', '')) for o in c['outputs'])
    return bool(re.search(r'\d+x\d+, [\d.]+ fps', plain)) or bool(re.search(r'\bpanel\(\)', source(c)))

WITH_VIDEO = [p for p in PAGES if any(map(shows_video, visible(p)))]

def test_most_tutorials_make_a_video():
    assert len(WITH_VIDEO) >= 9 and QUICKSTART in WITH_VIDEO
    for page in set(PAGES) - set(WITH_VIDEO):      # nobody makes one and keeps it to himself
        assert not any(re.search(r'\b(lipsync|dub)\(', source(c)) for c in visible(page)), page.name

@pytest.mark.parametrize('page', WITH_VIDEO, ids=lambda p: p.stem)
def test_a_video_comes_in_three_cells(page):
    first = visible(page)[:3]
    assert any(map(shows_video, first)), [source(c)[:80] for c in first]

@pytest.mark.parametrize('page', PAGES, ids=lambda p: p.stem)
def test_a_page_opens_in_colab_and_installs_only_where_the_package_is_missing(page, monkeypatch):
    import importlib.util
    ini = ConfigParser(delimiters=['='], interpolation=None)
    ini.read(ROOT/'settings.ini')
    cfg, code, ran = ini['DEFAULT'], source(cells(page)[0]), []
    badge = f"{cfg['git_url'].removeprefix('https://github.com/')}/blob/{cfg['branch']}/nbs/tutorials/{page.name}"
    assert f'https://colab.research.google.com/github/{badge}' in ''.join(source(c) for c in json.loads(page.read_text())['cells'][:2])
    class Shell:
        def run_line_magic(self, name, line): ran.append(f'{name} {line}')
    def run(): exec(compile(code, 'first cell', 'exec'), dict(get_ipython=Shell))
    run()
    assert not ran
    monkeypatch.setattr(importlib.util, 'find_spec', lambda name: None)
    run()
    assert len(ran) == 1 and ran[0].startswith('pip install -q -c https://')
    assert ran[0].count(f"v{cfg['version']}") == 2 and cfg['git_url'] in ran[0]      # constraints and package, both pinned
    assert not re.search(r'[^v]main\b', ran[0])
    extras = re.search(r'\[([\w,]+)\]', ran[0])[1].split(',')
    assert all(f'{e}_requirements' in cfg for e in extras)

def test_a_page_needs_no_file_of_the_repository():
    for page in PAGES:
        code = ' '.join(map(source, cells(page)))
        assert not re.search(r'shared/|\.\./|nbs/|demos/', code), page.name

@pytest.mark.slow
def test_the_quickstart_runs_from_a_wheel_in_an_environment_of_its_own(tmp_path, monkeypatch):
    for name in 'nbclient', 'ipykernel': pytest.importorskip(name)
    monkeypatch.syspath_prepend(ROOT/'tools')
    monkeypatch.setenv('JUPYTER_PATH', '')
    import tutorials
    kernel = tutorials.fresh(tmp_path, lend=True)
    assert tutorials.run(QUICKSTART, tmp_path/'work', kernel, 300) == [3, 6, 7]      # the third cell, and two more
    assert sorted(p.name for p in (tmp_path/'work').iterdir()) == [QUICKSTART.name]

def test_motion_shows_the_curve_it_speaks_of():
    plots = [c for c in cells(PAGES[1]) if 'track.plot(' in source(c)]
    assert plots and 'image/png' in plots[0]['outputs'][0]['data']
