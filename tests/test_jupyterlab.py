"The panel in a real JupyterLab, in a browser without a window"
import json, os, re, shutil, subprocess, sys, time
from importlib.util import find_spec
from pathlib import Path
import pytest

ROOT = Path(__file__).parent.parent
CHROMIUM = shutil.which('chromium') or shutil.which('chromium-browser') or shutil.which('google-chrome')
for name in 'jupyterlab', 'ipywidgets', 'anywidget', 'playwright':
    if find_spec(name) is None: pytest.skip(f'{name} is not installed: pip install lipsync_kit[notebook]', allow_module_level=True)
if not CHROMIUM: pytest.skip('no chromium on this machine', allow_module_level=True)

CELLS = '''from lipsync_kit.widgets.panel import panel
p = panel(folder='empty')
p.speech.text.value = 'Hi.'
p.model.options.set(frame='head', size='160', fps='10')
p''', '''print(len(p.results), p.editor.is_edited, float(p.editor.track.mouth_open.max()) > .4)'''

def notebook(cells):
    made = [dict(cell_type='code', id=f'c{i}', metadata={}, source=c, outputs=[], execution_count=None) for i, c in enumerate(cells)]
    return json.dumps(dict(nbformat=4, nbformat_minor=5, cells=made,
                           metadata=dict(kernelspec=dict(name='python3', display_name='python3', language='python'))))

@pytest.fixture
def lab(tmp_path):
    "Address of a JupyterLab that shows an empty folder and a notebook"
    (tmp_path/'work'/'empty').mkdir(parents=True)
    (tmp_path/'work'/'panel.ipynb').write_text(notebook(CELLS))
    env = {**os.environ, 'JUPYTER_CONFIG_DIR': str(tmp_path/'config'), 'JUPYTER_RUNTIME_DIR': str(tmp_path/'runtime'),
           'IPYTHONDIR': str(tmp_path/'ipython'), 'JUPYTERLAB_SETTINGS_DIR': str(tmp_path/'settings'),
           'JUPYTERLAB_WORKSPACES_DIR': str(tmp_path/'spaces'), 'PYTHONPATH': str(ROOT), 'LIPSYNC_KIT_SPEEDS': 'off'}
    command = [sys.executable, '-m', 'jupyter', 'lab', '--no-browser', '--allow-root', '--port=0', '--IdentityProvider.token=t',
               '--ServerApp.root_dir=' + str(tmp_path/'work'), '--LabApp.news_url=', '--LabApp.check_for_updates_class=jupyterlab.NeverCheckForUpdate',
               '--LabApp.extension_manager=readonly']
    with open(tmp_path/'log', 'w') as log:
        server = subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT, env=env, cwd=tmp_path/'work')
        try:
            for _ in range(600):
                found = re.search(r'http://(?:localhost|127\.0\.0\.1):(\d+)/', (tmp_path/'log').read_text())
                if found: break
                assert server.poll() is None, (tmp_path/'log').read_text()
                time.sleep(.1)
            yield f'http://127.0.0.1:{found[1]}/lab/tree/panel.ipynb?token=t'
        finally:
            server.terminate()
            server.wait(20)

@pytest.mark.slow
def test_the_panel_speaks_and_its_curve_can_be_drawn(lab, tmp_path):
    from playwright.sync_api import TimeoutError, sync_playwright
    with sync_playwright() as pw:
        browser = pw.chromium.launch(executable_path=CHROMIUM, args=['--no-sandbox'])
        page = browser.new_page(viewport=dict(width=1440, height=1500))
        page.set_default_timeout(60_000)
        page.goto(lab)
        button = page.get_by_role('button', name='Make it talk')
        for _ in range(4):                       # what is pressed before the kernel is there is lost
            page.locator('.jp-Notebook .jp-Cell').first.click()
            page.keyboard.press('Shift+Enter')
            try: button.wait_for(timeout=15_000); break
            except TimeoutError: pass
        button.click()
        video = page.locator('video').first
        video.wait_for(state='attached')
        page.wait_for_function('() => document.querySelector("video")?.videoWidth == 160')
        page.get_by_role('tab', name='Motion').click()
        canvas = page.locator('.lipsync-curves canvas')
        box = canvas.bounding_box()
        page.mouse.move(box['x'] + box['width'] * .5, box['y'] + 150)
        page.mouse.down()
        page.mouse.move(box['x'] + box['width'] * .6, box['y'] + 40, steps=6)
        page.mouse.up()
        if shots := os.environ.get('LIPSYNC_SHOTS'): page.screenshot(path=f'{shots}/lab_motion.png')
        page.get_by_role('button', name='Draw this motion').click()
        page.get_by_role('tab', name='Result', selected=True).wait_for()      # where a finished video is shown
        page.get_by_role('tab', name='Compare').click()
        page.wait_for_function('() => document.querySelectorAll(".lipsync-ab video").length == 2')
        page.get_by_role('button', name='play', exact=True).last.click()
        page.wait_for_function('() => document.querySelector(".lipsync-ab video.a").currentTime > .2')
        apart = page.evaluate('() => { const [a, b] = document.querySelectorAll(".lipsync-ab video"); return Math.abs(a.currentTime - b.currentTime) }')
        assert apart < .15
        if shots: page.screenshot(path=f'{shots}/lab_compare.png')
        page.locator('.jp-Notebook .jp-Cell').nth(1).locator('.cm-content').click()
        page.keyboard.press('Shift+Enter')
        page.get_by_text('2 False True').wait_for()
        browser.close()
