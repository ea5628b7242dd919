"The app in a real browser: upload, type, click, and a video plays."
import os, shutil, socket, subprocess, sys, time, urllib.request
from pathlib import Path
import av, numpy as np, pytest
from PIL import Image

ROOT = Path(__file__).parent.parent
CHROMIUM = shutil.which('chromium') or shutil.which('chromium-browser')
FLAGS = '--no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking --disable-component-update --disable-sync'.split()

pytest.importorskip('playwright.sync_api', reason='playwright is not installed')
if not CHROMIUM: pytest.skip('no chromium on this machine', allow_module_level=True)

@pytest.fixture(scope='module')
def address(tmp_path_factory):
    log = (tmp_path_factory.mktemp('app')/'log').open('w+')
    with socket.socket() as s: s.bind(('127.0.0.1', 0)); port = s.getsockname()[1]
    app = subprocess.Popen([sys.executable, str(ROOT/'demos'/'app.py'), '--port', str(port)], cwd=ROOT, stdout=subprocess.DEVNULL, stderr=log)
    url = f'http://127.0.0.1:{port}'
    for _ in range(600):
        try: urllib.request.urlopen(url, timeout=5).read(); break
        except OSError:
            if app.poll() is not None: log.seek(0); pytest.fail(log.read())
            time.sleep(.2)
    yield url
    app.terminate(); app.wait()

@pytest.fixture(scope='module')
def page(address):
    from playwright.sync_api import sync_playwright
    with sync_playwright() as p:
        browser = p.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        page = browser.new_page(viewport=dict(width=1280, height=1000))
        page.outside = []
        page.on('request', lambda r: page.outside.append(r.url) if not r.url.startswith((address, 'data:', 'blob:')) else None)
        page.goto(address); page.get_by_role('button', name='Make it talk').wait_for(timeout=120_000)
        yield page
        browser.close()

def shot(page, tmp_path, name):
    folder = Path(os.environ.get('LIPSYNC_SHOTS', tmp_path)); folder.mkdir(parents=True, exist_ok=True)
    page.screenshot(path=folder/f'{name}.png', full_page=True)

def upload(page, path):
    page.locator('input[type=file]').first.set_input_files(str(path))
    page.locator('[data-testid=image] img, .image-container img').first.wait_for(timeout=60_000)

def test_no_face_is_explained(page, tmp_path):
    Image.fromarray(np.full((200, 300, 3), 90, np.uint8)).save(tmp_path/'plain.png')
    upload(page, tmp_path/'plain.png')
    page.locator('#text textarea').fill('Hello.')
    page.get_by_role('button', name='Make it talk').click()
    page.locator('.bad').wait_for(timeout=60_000)
    assert 'no face was found' in page.locator('.bad').inner_text()
    assert 'Traceback' not in page.content()
    shot(page, tmp_path, 'no_face')

def test_upload_click_video(page, tmp_path):
    page.reload(); page.get_by_role('button', name='Make it talk').wait_for(timeout=120_000)
    upload(page, ROOT/'lipsync_kit'/'data'/'astronaut.jpg')
    page.locator('#text textarea').fill('Hello there.')
    page.get_by_role('button', name='Make it talk').click()
    video = page.locator('#result video')
    video.wait_for(timeout=90_000)
    page.wait_for_function("document.querySelector('#result video').readyState >= 2", timeout=60_000)
    src = video.get_attribute('src')
    (tmp_path/'talk.mp4').write_bytes(page.request.get(src).body())
    with av.open(str(tmp_path/'talk.mp4')) as c:
        assert c.streams.audio and c.streams.video and sum(1 for _ in c.decode(video=0)) > 10
    assert 'faces: 1' in page.locator('#said').inner_text()
    shot(page, tmp_path, 'talks')
    page.set_viewport_size(dict(width=390, height=844)); shot(page, tmp_path, 'phone')
    assert page.evaluate('document.documentElement.scrollWidth') <= 390   # nothing to scroll sideways on a phone
    page.set_viewport_size(dict(width=1280, height=1000))

def test_cancel(page):
    page.reload(); page.get_by_role('button', name='Make it talk').wait_for(timeout=120_000)
    upload(page, ROOT/'lipsync_kit'/'data'/'astronaut.jpg')
    page.locator('#text textarea').fill('This goes on and on, until somebody stops it. ' * 60)
    page.get_by_role('button', name='Make it talk').click()
    page.wait_for_timeout(2000)
    page.get_by_role('button', name='Cancel').click()
    page.locator('.bad').wait_for(timeout=60_000)
    assert 'Stopped' in page.locator('.bad').inner_text() and not page.locator('#result video').count()

def test_nothing_is_fetched_from_elsewhere(page): assert not page.outside, page.outside
