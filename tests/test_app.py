"The app in a real browser: upload, type, click, and a video plays."
import os, re, shutil, socket, subprocess, sys, time, urllib.request
from pathlib import Path
import av, numpy as np, pytest
from PIL import Image
from page_checks import FAINT, unnamed

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
    app.terminate(); app.wait(); log.close()

@pytest.fixture(scope='module')
def chromium():
    from playwright.sync_api import sync_playwright
    with sync_playwright() as p: yield p.chromium

@pytest.fixture(scope='module')
def page(address, chromium):
    browser = chromium.launch(executable_path=CHROMIUM, args=FLAGS)
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
    said = page.locator('#said').inner_text()
    assert 'faces: 1' in said and 'model portrait, chosen among' in said     # who drew, and why
    box = page.locator('#result').bounding_box()
    assert box['y'] >= 0 and box['y'] + 300 < 1000                            # the result is in view, as the message is
    assert src.endswith('astronaut.mp4')                                      # a download is called by what it shows
    shot(page, tmp_path, 'talks')
    page.set_viewport_size(dict(width=390, height=844)); shot(page, tmp_path, 'phone')
    assert page.evaluate('document.documentElement.scrollWidth') <= 390   # nothing to scroll sideways on a phone
    page.set_viewport_size(dict(width=1280, height=1000))

FOCUSED = """() => { const e = document.activeElement; if (!e || e === document.body) return null;
  const ringed = x => x && getComputedStyle(x).outlineStyle != 'none' && parseFloat(getComputedStyle(x).outlineWidth) >= 2;
  const box = e.getBoundingClientRect(), labels = [...e.labels || []].map(l => l.textContent).join(' ');
  e.dataset.reached = 1;
  return {name: [e.getAttribute('aria-label'), labels, e.textContent, e.value].filter(Boolean).join(' ').trim(),
    seen: [e, e.closest('label'), e.closest('.wrap')].some(ringed), there: box.top < innerHeight && box.bottom > 0} }"""

def tab_to(page, name):
    "Press Tab until the control of that name has the focus"
    for _ in range(120):
        page.keyboard.press('Tab')
        if (found := page.evaluate(FOCUSED)) and found['name'].startswith(name): return
    pytest.fail(f'no Tab comes to {name!r}')

def test_a_job_is_cancelled_and_another_made_with_keys_alone(page):
    page.reload(); page.get_by_role('button', name='Make it talk').wait_for(timeout=120_000)
    from playwright.sync_api import TimeoutError as timeout
    for left in reversed(range(6)):                    # a page that has just come up may miss a key
        tab_to(page, 'Drop an image file')
        try:
            with page.expect_file_chooser(timeout=10_000) as chosen: page.keyboard.press('Enter')
            break
        except timeout:
            if not left: raise
    chosen.value.set_files(str(ROOT/'lipsync_kit'/'data'/'astronaut.jpg'))
    page.locator('#image img').first.wait_for(timeout=60_000)
    tab_to(page, 'What to say')
    page.keyboard.insert_text('This goes on and on, until somebody stops it. ' * 60)
    tab_to(page, 'Make it talk'); page.keyboard.press('Enter')
    tab_to(page, 'Cancel')
    for left in reversed(range(20)):                   # before the job has begun there is nothing to cancel
        page.keyboard.press('Space')
        try: page.locator('#said .bad').wait_for(timeout=5_000); break
        except timeout:
            if not left: raise
    assert 'Stopped' in page.locator('#said').inner_text() and not page.locator('#result video').count()
    tab_to(page, 'What to say'); page.keyboard.press('Control+a'); page.keyboard.insert_text('Wow, a pea.')
    tab_to(page, 'fast'); page.keyboard.press('Space')
    assert page.locator('#quality input:checked').get_attribute('value') == 'fast'
    tab_to(page, 'Make it talk'); page.keyboard.press('Space')
    said = page.wait_for_function("""() => { const e = document.querySelector('#said .good, #said .bad');
        return e && !e.innerText.includes('Stopped') && e.innerText }""", timeout=120_000).json_value()
    assert 'faces: 1' in said
    page.wait_for_function("document.querySelector('#result video')?.readyState >= 2", timeout=60_000)
    tab_to(page, 'Models'); page.keyboard.press('Enter')
    page.locator('#models table').wait_for(timeout=60_000)

def walked(page):
    "Tab once round the page: what can't be seen where it has the focus, and what is never reached"
    page.evaluate("""() => { document.querySelectorAll('[data-reached]').forEach(e => delete e.dataset.reached);
      document.body.tabIndex = -1; document.body.focus(); document.body.removeAttribute('tabindex') }""")      # Tab begins at the top
    found = []
    for _ in range(120):
        page.keyboard.press('Tab')
        if (now := page.evaluate(FOCUSED)): found.append(now)
        elif len(found) > 3: break                     # the end of the page: nothing holds the focus
    else: pytest.fail('the focus is trapped')
    missed = page.evaluate("""() => [...document.querySelectorAll('button, input, textarea, select, a[href]')].filter(e => e.tabIndex >= 0 &&
      e.checkVisibility({checkVisibilityCSS: true}) && !e.disabled && e.type != 'radio' && !e.dataset.reached).map(e => e.outerHTML.slice(0, 150))""")
    return [f for f in found if not (f['seen'] and f['there'])], missed

def test_every_tab_can_be_read_and_every_control_has_a_name(address, page, tmp_path):
    for look in 'light', 'dark':
        page.goto(f'{address}/?__theme={look}'); page.get_by_role('button', name='Make it talk').wait_for(timeout=120_000)
        page.wait_for_timeout(1000)
        for name in 'Talk', 'Faces', 'Your own avatar', 'Dub', 'Converse', 'Compare', 'Measure', 'Train', 'Models':
            page.get_by_role('tab', name=name, exact=True).first.click(); page.wait_for_timeout(400)
            assert page.evaluate(FAINT) == [], (look, name)
            if look == 'light':                        # keys and names are the same in the dark
                assert unnamed(page) == [], name
                assert walked(page) == ([], []), name
            shot(page, tmp_path, f'{look}_{name.lower()}')
    page.set_viewport_size(dict(width=390, height=844)); page.wait_for_timeout(500)
    assert page.evaluate('document.documentElement.scrollWidth') <= 390
    page.set_viewport_size(dict(width=1280, height=1000)); page.goto(address)

def test_models_say_what_they_need_and_downloads_are_closed(page):
    page.reload(); page.get_by_role('tab', name='Models', exact=True).click()
    page.locator('#models table').wait_for(timeout=120_000)
    assert 'research only' in page.locator('#models').inner_text() and page.get_by_text('--allow-downloads').is_visible()

from test_hub import BODY, server, toy

def test_a_model_is_fetched_with_a_button(chromium, server, toy, monkeypatch):
    import gradio as gr
    from lipsync_kit.models.contract import MODELS, ModelCard
    from lipsync_kit.webapp.models import models_tab
    monkeypatch.setenv('HF_ENDPOINT', server.url)
    dest = toy('hf:owner/repo/sub/toy.pth')
    card = ModelCard('toy', 'a toy', 'json', inputs=('image',), driven_by=('motion',), weights=('toy',))
    known = {**MODELS.all(), 'toy': card}
    monkeypatch.setattr(MODELS, 'all', lambda: known); monkeypatch.setattr(MODELS, 'get', known.get)
    with gr.Blocks() as blocks: models_tab(True, gr.Dropdown([], label='Model'))
    _, url, _ = blocks.queue().launch(prevent_thread_lock=True, server_name='127.0.0.1')
    browser = chromium.launch(executable_path=CHROMIUM, args=FLAGS)
    try:
        page = browser.new_page(); page.goto(url)
        row = page.locator('#models tr').filter(has=page.locator('b', has_text=re.compile('^toy$')))
        row.get_by_text('needs 1.3 MB').wait_for(timeout=60_000)
        assert 'choose a model first' in pressed(page, '#fetch', '#fetched .bad')
        page.locator('#fetch-which input').click(); page.get_by_role('option', name='toy: 1.3 MB, MIT').click()
        page.locator('#fetch').click()
        page.locator('#fetched .good').wait_for(timeout=60_000)
        row.get_by_text('ready').wait_for(timeout=60_000)                # the table is made anew
        assert dest.read_bytes() == BODY and not page.locator('#fetch-which input').input_value()
    finally: browser.close(); blocks.close()

def test_two_players_keep_together(page, tmp_path):
    from lipsync_kit.core import Audio
    from lipsync_kit.media.write import Writer
    with Writer(tmp_path/'grey.mp4', 64, 64, 10, audio=Audio(np.zeros(32000), 16000)) as w:
        for i in range(20): w.write(np.full((64, 64, 3), 10 * i, np.uint8))
    page.reload(); page.get_by_role('tab', name='Compare', exact=True).click()
    page.locator('#compare-face input[type=file]').set_input_files(str(tmp_path/'grey.mp4'))
    for side in 'ab':
        page.locator(f'#compare-{side} input').fill('as it is given'); page.locator(f'#compare-{side} input').press('Enter')
    page.locator('#compare').click()
    page.wait_for_function("[...document.querySelectorAll('.pair video')].filter(v => v.readyState >= 2).length == 2", timeout=60_000)
    page.evaluate("document.querySelectorAll('.pair video')[0].currentTime = 1.2")
    page.wait_for_function("Math.abs(document.querySelectorAll('.pair video')[1].currentTime - 1.2) < .2", timeout=10_000)

CLIPPED = """() => [...document.querySelectorAll('.source-selection, .video-container .controls')].filter(e => e.checkVisibility() && e.clientHeight)
  .map(e => [e.closest('.block').id, e.getBoundingClientRect().bottom - e.closest('.block').getBoundingClientRect().bottom]).filter(([, by]) => by > 1)"""

def test_nothing_is_cut_off_under_a_video(page, tmp_path):
    from lipsync_kit.media.write import Writer
    with Writer(tmp_path/'grey.mp4', 64, 80, 10) as w:
        for i in range(3): w.write(np.full((80, 64, 3), 60 * i, np.uint8))
    page.reload(); page.get_by_role('button', name='Make it talk').wait_for(timeout=120_000)
    for tab, box in ('Talk', 'video'), ('Dub', 'dub-video'), ('Measure', 'measure-video'):
        page.get_by_role('tab', name=tab, exact=True).first.click()
        if tab == 'Talk': page.get_by_role('tabpanel').get_by_role('tab', name='Video').first.click()
        page.locator(f'#{box} input[type=file]').set_input_files(str(tmp_path/'grey.mp4'))
        page.locator(f'#{box} video').first.wait_for(timeout=60_000)
        page.locator(f'#{box} video').first.hover()
        assert page.evaluate(CLIPPED) == [], tab

SAID = ('How about an apple, a plum, or a wide open mouth? We saw many old friends there, and my mother laughed. Five big boats '
        'move slowly past a blue harbour. Wow, who would have thought so, far away?')

@pytest.fixture(scope='module')
def film(tmp_path_factory):
    "More than ten seconds of a photograph that speaks"
    from lipsync_kit.media.read import read_image
    from lipsync_kit.speech.tts import speak
    from test_avatar import filmed
    photo = read_image(ROOT/'lipsync_kit'/'data'/'astronaut.jpg').image[:330, 60:390]
    return filmed(tmp_path_factory.mktemp('me')/'me.mp4', speak(SAID).audio, photo)

def avatar_tab(page):
    page.reload(); page.get_by_role('tab', name='Your own avatar').click()
    page.get_by_role('button', name='Learn my avatar').wait_for(timeout=120_000)

def recorded(page, path):
    "Hand over a recording and wait for the report on it"
    page.locator('#film').get_by_label('Upload file').click()
    page.locator('#film input[type=file]').first.set_input_files(str(path))
    page.locator('#report .report').wait_for(timeout=120_000)
    return page.locator('#report').inner_text()

def spoken(page, tmp_path, name):
    "Let the avatar speak and keep the video"
    page.locator('#avatar-text textarea').fill('Wow, a pea.')
    page.get_by_role('button', name='Let it speak').click()
    answered(page, '#avatar-said')
    page.wait_for_function("document.querySelector('#avatar-video video')?.readyState >= 2", timeout=120_000)
    (tmp_path/name).write_bytes(page.request.get(page.locator('#avatar-video video').get_attribute('src')).body())
    with av.open(str(tmp_path/name)) as c: return c.streams.video[0].width, sum(1 for _ in c.decode(video=0))

def test_a_recording_becomes_an_avatar_that_is_kept_and_opened_again(page, film, tmp_path):
    from playwright.sync_api import TimeoutError as timeout
    avatar_tab(page)
    for left in reversed(range(6)):                    # a page that has just come up may miss a click
        page.get_by_role('button', name='Learn my avatar').click()
        try: page.locator('#learned .bad').get_by_text('record ten seconds').wait_for(timeout=10_000); break
        except timeout:
            if not left: raise
    said = recorded(page, film)
    assert 'Good to learn from' in said and 'opening' in said and 'sound' in said and page.locator('#report img').count() == 2, said
    page.get_by_role('button', name='Learn my avatar').click()
    page.locator('#learned .bad').get_by_text('tick the box').wait_for(timeout=60_000)
    page.locator('#agreed input').check()
    page.get_by_role('tabpanel').get_by_text('For experts').locator('visible=true').click()
    page.locator('#me-steps input').fill('0')
    page.get_by_role('button', name='Learn my avatar').click()
    answered(page, '#learned', before='tick the box')
    assert 'appearance model' in page.locator('#learned').inner_text()
    width, n = spoken(page, tmp_path, 'first.mp4')
    assert width == 340 and n > 5
    with page.expect_download() as d: page.locator('#avatar a').first.click()
    d.value.save_as(tmp_path/'me.avatar')
    from lipsync_kit.models.identity import Identity
    assert 'I am this person' in Identity.load(tmp_path/'me.avatar').consent
    shot(page, tmp_path, 'avatar')
    page.set_viewport_size(dict(width=390, height=844)); shot(page, tmp_path, 'avatar_phone')
    assert page.evaluate('document.documentElement.scrollWidth') <= 390
    page.set_viewport_size(dict(width=1280, height=1000))
    avatar_tab(page)                                     # a new visit
    page.locator('#avatar input[type=file]').set_input_files(str(tmp_path/'me.avatar'))
    answered(page, '#about-avatar')
    assert spoken(page, tmp_path, 'second.mp4') == (width, n)

def test_a_recording_that_will_not_do_is_explained(page, film, tmp_path):
    from lipsync_kit.core import Audio
    from lipsync_kit.media.read import read_frames
    from lipsync_kit.media.write import Writer
    with Writer(tmp_path/'short.mp4', 340, 340, 12, audio=Audio(np.zeros(16000), 16000)) as w:
        for f, _ in zip(read_frames(film), range(12)): w.write(f.image)
    avatar_tab(page)
    said = recorded(page, tmp_path/'short.mp4')
    assert 'Nothing can be learned' in said and 'at least 10 s are needed' in said and 'is the microphone on' in said
    assert str(tmp_path) not in page.content() and 'Traceback' not in page.content()

def test_learning_is_cancelled(page, film):
    avatar_tab(page)
    recorded(page, film)
    page.locator('#agreed input').check()
    page.get_by_role('button', name='Learn my avatar').click()
    page.get_by_text(re.compile('(learning|reading) the mouth')).first.wait_for(timeout=60_000)
    page.locator('#stop-learning').click()
    page.locator('#learned .bad').get_by_text('Stopped').wait_for(timeout=60_000)

def test_programs_learn_and_speak(address, film, tmp_path):
    from gradio_client import Client, handle_file
    client = Client(address, verbose=False, download_files=str(tmp_path))
    with pytest.raises(Exception, match='tick the box'):
        client.predict(handle_file(str(film)), False, 'auto', 0, api_name='/learn')
    made = client.predict(handle_file(str(film)), True, 'mouth', 0, api_name='/learn')
    video = client.predict(handle_file(made), 'Wow.', None, api_name='/speak')
    with av.open(video['video'] if isinstance(video, dict) else video) as c: assert c.streams.audio and c.streams.video
    with pytest.raises(Exception, match='no prepared person'):
        client.predict(handle_file(str(film)), 'Wow.', None, api_name='/speak')

def test_a_webcam_and_a_microphone_are_recorded(address, chromium, film, tmp_path):
    from lipsync_kit.media.read import read_frames
    with av.open(str(tmp_path/'me.y4m'), 'w', format='yuv4mpegpipe') as c:
        s = c.add_stream('wrapped_avframe', rate=12)
        s.width, s.height, s.pix_fmt = 340, 340, 'yuv420p'
        for f, _ in zip(read_frames(film), range(36)): c.mux(s.encode(av.VideoFrame.from_ndarray(f.image, format='rgb24')))
    camera = ['--use-fake-device-for-media-stream', '--use-fake-ui-for-media-stream', f'--use-file-for-fake-video-capture={tmp_path}/me.y4m']
    page = chromium.launch(executable_path=CHROMIUM, args=FLAGS + camera).new_page()
    page.goto(address); page.get_by_role('tab', name='Your own avatar').click()
    page.get_by_text('Click to Access Webcam').locator('visible=true').click()
    page.locator('#film').get_by_label('start recording').click()
    page.wait_for_timeout(3000)
    page.locator('#film button').first.click()
    page.locator('#report .report').wait_for(timeout=120_000)
    assert 'at least 10 s are needed' in page.locator('#report').inner_text()
    page.get_by_role('tab', name='Talk', exact=True).click(); page.get_by_role('tab', name='Recording').click()
    page.get_by_label('Record audio').locator('visible=true').click()
    page.get_by_role('button', name='Record', exact=True).click()
    page.wait_for_timeout(2000)
    page.get_by_role('button', name='Stop', exact=True).click()
    link = page.get_by_role('link', name='Download').locator('visible=true')
    link.wait_for(timeout=60_000)
    (tmp_path/'said.wav').write_bytes(page.request.get(link.get_attribute('href')).body())
    with av.open(str(tmp_path/'said.wav')) as c: assert c.streams.audio[0].duration * c.streams.audio[0].time_base > .5
    assert not page.get_by_role('button', name='Share').count()          # a voice is sent nowhere
    page.context.browser.close()

def faces_tab(page):
    page.reload(); page.get_by_role('tab', name='Faces').click()
    page.get_by_role('button', name='Who is in it?').wait_for(timeout=120_000)

def given(page, where, path):
    page.locator(f'#{where} input[type=file]').first.set_input_files(str(path))
    page.locator(f'#{where} img').first.wait_for(timeout=60_000)

def pressed(page, button, answer):
    "Press a button until something is said: a page that has just come up may miss a click"
    from playwright.sync_api import TimeoutError as timeout
    for left in reversed(range(6)):
        page.locator(button).click()
        try: page.locator(answer).wait_for(timeout=15_000); return page.locator(answer).inner_text()
        except timeout:
            if not left: raise

def answered(page, where, before=None):
    "What is said after what was said `before`; it has to be good, and a bad answer ends the wait as well"
    said = page.locator(f'{where} .good, {where} .bad').filter(has_not_text=before).first
    said.wait_for(timeout=180_000)
    text = said.inner_text()
    assert page.locator(f'{where} .good').count(), text
    return text

def test_faces_are_shown_chosen_and_restored(page, tmp_path):
    faces_tab(page)
    assert 'choose a picture or a video first' in pressed(page, '#restore', '#faces-said .bad')
    given(page, 'faces-picture', ROOT/'lipsync_kit'/'data'/'astronaut.jpg')
    page.get_by_role('button', name='Who is in it?').click()
    page.locator('#who img').first.wait_for(timeout=120_000)
    assert 'px between the eyes' in page.locator('#who').inner_text()
    page.locator('#which input').click(); page.get_by_role('option', name='only 1').click()
    page.locator('#restore').click()
    assert 'faces: 1' in answered(page, '#faces-said')
    page.wait_for_function("[...document.querySelectorAll('#both img')].filter(i => i.naturalWidth > 100).length >= 2", timeout=60_000)
    with page.expect_download() as d: page.locator('#faces-file a').first.click()
    d.value.save_as(tmp_path/'restored.jpg')
    from lipsync_kit.media.provenance import read_mark
    assert read_mark(tmp_path/'restored.jpg').get('comment') and Image.open(tmp_path/'restored.jpg').size == (512, 512)
    shot(page, tmp_path, 'faces')
    page.set_viewport_size(dict(width=390, height=844)); shot(page, tmp_path, 'faces_phone')
    assert page.evaluate('document.documentElement.scrollWidth') <= 390
    page.set_viewport_size(dict(width=1280, height=1000))

def test_a_swap_wants_its_box_ticked(page, tmp_path):
    faces_tab(page)
    photo = ROOT/'lipsync_kit'/'data'/'astronaut.jpg'
    given(page, 'faces-picture', photo)
    page.get_by_role('tab', name='Swap').click()
    given(page, 'swap-source', photo)
    assert 'tick the box first' in pressed(page, '#swap', '#faces-said .bad')
    page.locator('#swap-agreed input').check()
    from lipsync_kit.hub.cards import available
    if available('inswapper_128'): return
    page.locator('#swap').click()
    page.locator('#faces-said .bad').get_by_text('inswapper_128').wait_for(timeout=60_000)
    assert 'Traceback' not in page.content() and str(ROOT) not in page.locator('#faces-said').inner_text()
    shot(page, tmp_path, 'swap')
    page.set_viewport_size(dict(width=390, height=844)); shot(page, tmp_path, 'swap_phone')
    assert page.evaluate('document.documentElement.scrollWidth') <= 390
    page.set_viewport_size(dict(width=1280, height=1000))

def test_a_video_is_restored_beside_what_was_given(page, film, tmp_path):
    from lipsync_kit.media.read import read_frames
    from lipsync_kit.media.write import Writer
    with Writer(tmp_path/'clip.mp4', 340, 340, 12) as w:
        for f, _ in zip(read_frames(film), range(6)): w.write(f.image)
    faces_tab(page)
    page.get_by_role('tabpanel').get_by_role('tab', name='Video').locator('visible=true').click()
    page.locator('#faces-video input[type=file]').first.set_input_files(str(tmp_path/'clip.mp4'))
    page.locator('#faces-video video').first.wait_for(timeout=60_000)
    page.get_by_role('tabpanel').get_by_text('Options', exact=True).locator('visible=true').first.click()
    page.locator('#enhance-model input').click(); page.get_by_role('option', name='filter').click()
    page.locator('#restore').click()
    answered(page, '#faces-said')
    page.wait_for_function("document.querySelector('#faces-result video')?.readyState >= 2", timeout=60_000)
    page.wait_for_function("[...document.querySelectorAll('#both img')].filter(i => i.naturalWidth > 100).length >= 2", timeout=60_000)
    shot(page, tmp_path, 'faces_video')

def test_programs_look_restore_and_swap(address, tmp_path):
    from gradio_client import Client, handle_file
    client, photo = Client(address, verbose=False, download_files=str(tmp_path)), handle_file(str(ROOT/'lipsync_kit'/'data'/'astronaut.jpg'))
    assert len(client.predict(photo, api_name='/faces')['people']) == 1
    assert Image.open(client.predict(photo, 'filter', .8, 'all', api_name='/enhance')).size == (512, 512)
    with pytest.raises(Exception, match='tick the box'): client.predict(photo, photo, False, 'largest', api_name='/swap')

def test_nothing_is_fetched_from_elsewhere(page): assert not page.outside, page.outside
