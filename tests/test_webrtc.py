"A talk over WebRTC: by aiortc as the client, and by a real browser with a false microphone"
import asyncio, json, os, shutil, signal, socket, subprocess, sys, threading, time, wave
from concurrent.futures import ThreadPoolExecutor
from fractions import Fraction
from pathlib import Path
import av, httpx, numpy as np, pytest
from lipsync_kit.audio.signal import resample
from lipsync_kit.core import Audio, KitError
from lipsync_kit.speech.stt import chosen_recogniser
from lipsync_kit.speech.tts import speak

pytest.importorskip('aiortc', reason='aiortc is not installed')
from aiortc import RTCConfiguration, RTCPeerConnection, RTCSessionDescription
from aiortc.mediastreams import MediaStreamError, MediaStreamTrack
from page_checks import FAINT, unnamed

ROOT = Path(__file__).parent.parent
CHROMIUM = shutil.which('chromium') or shutil.which('chromium-browser')
QUESTION = 'Hello, who are you?'
SDP = {'content-type': 'application/sdp'}
try: EARS = chosen_recogniser('auto', 'en').name
except KitError: EARS = ''

def free_port():
    with socket.socket() as s:
        s.bind(('127.0.0.1', 0))
        return s.getsockname()[1]

class Served:
    "`lipsync serve` as a process, or `lipsync app`"
    def __init__(self, folder, *words, command='serve', **env):
        self.port, self.log = free_port(), folder/'log'
        self.url = f'http://127.0.0.1:{self.port}'
        # a run in the background may have been told to ignore Ctrl-C
        code = 'import signal; signal.signal(signal.SIGINT, signal.default_int_handler); from lipsync_kit.cli.main import main; main()'
        own = os.environ | dict(PYTHONPATH=str(ROOT)) | env
        args = ('--port', self.port, *words)
        if command == 'serve': args += '--chat', 'scripted', '--voice', 'hibari', '--language', 'en'
        with self.log.open('w') as log:
            self.process = subprocess.Popen([sys.executable, '-X', 'faulthandler', '-c', code, command, *map(str, args)], env=own, stdout=log, stderr=log)
        for _ in range(600):
            try: return self.up()
            except httpx.HTTPError:
                if self.process.poll() is not None: pytest.fail(self.log.read_text())
                time.sleep(.2)
        pytest.fail('the server did not come up')
    def up(self): httpx.get(f'{self.url}/health', timeout=5).raise_for_status()
    def end(self, impatient=False):
        "Ends it as Ctrl-C does; what it wrote"
        self.process.send_signal(signal.SIGINT)
        if impatient:
            time.sleep(.5)
            self.process.send_signal(signal.SIGINT)
        try: self.process.wait(30)
        except subprocess.TimeoutExpired:
            self.process.send_signal(signal.SIGABRT)      # tells where each thread stands
            self.process.wait()
            pytest.fail(f'it does not end:\n{self.log.read_text()}')
        return self.log.read_text()

@pytest.fixture(scope='module')
def served(tmp_path_factory):
    s = Served(tmp_path_factory.mktemp('serve'))
    yield s
    s.process.kill(); s.process.wait()

@pytest.fixture(scope='module')
def question(): return resample(speak(QUESTION, 'hibari').audio, 48000).samples

def understood(text):
    "A word of the question; a busy machine loses pieces of sound, and others with them"
    return any(w in text.lower() for w in ('hello', 'who', 'you'))

class Microphone(MediaStreamTrack):
    "Says something whenever `say` is called"
    kind = 'audio'
    def __init__(self):
        super().__init__()
        self.n, self.begun, self.rest = 0, None, np.zeros(0, np.float32)
    def say(self, x): self.rest = np.concatenate([self.rest, x])
    async def recv(self):
        self.begun = self.begun or time.monotonic()
        await asyncio.sleep(max(self.begun + self.n * .02 - time.monotonic(), 0))
        part, self.rest = self.rest[:960], self.rest[960:]
        frame = av.AudioFrame.from_ndarray((np.pad(part, (0, 960 - len(part))) * 32767).astype(np.int16)[None], format='s16', layout='mono')
        frame.sample_rate, frame.pts, frame.time_base, self.n = 48000, self.n * 960, Fraction(1, 48000), self.n + 1
        return frame

class Client:
    "A peer that sees, hears and speaks"
    def __init__(self, microphone=True):
        self.pc, self.mic, self.events, self.news = RTCPeerConnection(RTCConfiguration(iceServers=[])), Microphone(), [], asyncio.Event()
        self.pictures, self.sounds, self.tasks = [], [], []          # (seconds, level)
        self.pc.addTransceiver('video', direction='recvonly')
        if microphone: self.pc.addTrack(self.mic)
        else: self.pc.addTransceiver('audio', direction='recvonly')
        self.channel = self.pc.createDataChannel('events')
        self.channel.on('message', self._told)
        self.pc.on('track', lambda track: self.tasks.append(asyncio.ensure_future(self._pull(track))))
    def _told(self, text):
        self.events.append(json.loads(text))
        self.news.set()
    async def _pull(self, track):
        while True:
            try: f = await track.recv()
            except MediaStreamError: return
            x = f.to_ndarray()
            if track.kind == 'video': self.pictures.append((time.monotonic(), f.pts, x[::8, ::8].copy()))
            else: self.sounds.append((time.monotonic(), f.pts, int(np.abs(x).max())))
    async def offer(self):
        await self.pc.setLocalDescription(await self.pc.createOffer())
        return self.pc.localDescription.sdp
    async def enter(self, http, query=''):
        r = await http.post('/v1/whep' + query, content=await self.offer(), headers=SDP)
        if r.status_code == 201: await self.pc.setRemoteDescription(RTCSessionDescription(r.text, 'answer'))
        self.place = r.headers.get('location')
        return r
    def loud(self, last=0): return [x for x in self.sounds[-last:] if x[2] > 300]
    async def so_that(self, holds, seconds=60):
        async with asyncio.timeout(seconds):
            while not holds(): await asyncio.sleep(.05)
    def send(self, **event): self.channel.send(json.dumps(event))
    def ask(self, text):
        self.send(type='conversation.item.create', item=dict(type='message', role='user', content=[dict(type='input_text', text=text)]))
        self.send(type='response.create')
    async def until(self, kind, seconds=60):
        "The first event of a kind that was not waited for yet; an error or the end of a response ends the wait too"
        kinds = (kind, 'error', 'response.done')
        async with asyncio.timeout(seconds):
            while not (found := next((e for e in self.events if e['type'] in kinds), None)):
                self.news.clear()
                await self.news.wait()
        self.events = self.events[self.events.index(found) + 1:]
        assert found['type'] == kind, found
        return found

def talks(work, url, **kw):
    async def run():
        async with httpx.AsyncClient(base_url=url, timeout=60, **kw) as http: return await work(http)
    with ThreadPoolExecutor(1) as own: return own.submit(asyncio.run, run()).result()     # the browser's tests have a loop in this one

async def seats(http): return (await http.get('/v1/talk')).json()['taken']

def test_a_typed_question_is_answered_in_picture_and_sound_and_interrupted(served):
    async def work(http):
        c = Client(microphone=False)
        assert (await c.enter(http)).headers['content-type'] == 'application/sdp'
        await c.until('session.created')
        c.ask(QUESTION)
        await c.until('response.audio_transcript.delta')
        await c.until('output_audio_buffer.started')
        took = (await c.until('lipsync.latency'))['seconds']
        assert 0 < took['sentence'] <= took['audio'] <= took['face']
        await c.so_that(lambda: len(c.loud()) > 40)
        c.send(type='response.cancel')
        assert (await c.until('output_audio_buffer.cleared'))
        heard = (await c.until('conversation.item.truncated'))['audio_end_ms']
        assert (await c.until('response.done'))['response']['status'] == 'cancelled'
        await c.so_that(lambda: len(c.sounds) > 80 and not c.loud(40))            # it is silent
        spoken = (c.loud()[-1][1] - c.loud()[0][1]) / 48
        assert 500 < heard < 4000 and spoken < heard + 100, (spoken, heard)       # and no more came than it says
        moved = [np.abs(a[2].astype(int) - b[2]).mean() for a, b in zip(c.pictures, c.pictures[1:])]
        assert len(c.pictures) > 10 and max(moved) > .2                           # the face moves
        for x, step in (c.pictures, 3600), (c.sounds, 960):                       # on one clock, whatever is dropped
            assert {(b[1] - a[1]) % step for a, b in zip(x, x[1:])} == {0}
        for status in 200, 404: assert (await http.delete(c.place)).status_code == status
        assert await seats(http) == 0
        await c.pc.close()
    talks(work, served.url)

@pytest.mark.skipif(not EARS, reason='no recogniser is on this machine')
def test_a_spoken_question_is_heard_and_speaking_over_the_answer_ends_it(served, question):
    async def work(http):
        c = Client()
        await c.enter(http)
        await c.until('session.created')
        c.mic.say(question)
        await c.until('input_audio_buffer.speech_started')
        await c.until('input_audio_buffer.speech_stopped')
        heard = (await c.until('conversation.item.input_audio_transcription.completed'))['transcript']
        assert understood(heard)
        await c.until('output_audio_buffer.started')
        await c.so_that(lambda: len(c.loud()) > 20)
        c.mic.say(question)
        assert (await c.until('conversation.item.truncated'))['audio_end_ms'] > 100
        assert (await c.until('response.done'))['response']['status'] == 'cancelled'
        await c.until('output_audio_buffer.started')                            # the second question is answered too
        await http.delete(c.place)
        await c.pc.close()
    talks(work, served.url)

# what a client sends as `turn_detection`; what the session has then, or words of the error
SERVER_VAD = dict(type='server_vad', threshold=.5, prefix_padding_ms=300, silence_duration_ms=500, create_response=True, interrupt_response=True)
DETECTION = [({}, SERVER_VAD), (None, None), (dict(threshold=0, prefix_padding_ms=0, silence_duration_ms=100), SERVER_VAD | dict(threshold=0, prefix_padding_ms=0, silence_duration_ms=100)),
             (dict(threshold=1, prefix_padding_ms=2000, silence_duration_ms=10000.), SERVER_VAD | dict(threshold=1, prefix_padding_ms=2000, silence_duration_ms=10000)),
             (dict(create_response=None, interrupt_response=False), SERVER_VAD | dict(interrupt_response=False)),
             *((bad, 'turn_detection is null, or an object of type server_vad') for bad in (3, [], True, 'server_vad', dict(type='semantic_vad'), dict(type=None), dict(type=['server_vad']))),
             *((dict(threshold=bad), 'threshold is a number from 0 to 1, not ') for bad in (float('nan'), float('inf'), -.1, 1.01, '0.5', True, [], 10**400)),
             *((dict(prefix_padding_ms=bad), 'prefix_padding_ms is a number from 0 to 2000, not ') for bad in (-1, 2001, '300', {})),
             *((dict(silence_duration_ms=bad), 'silence_duration_ms is a number from 100 to 10000, not ') for bad in (99, 10001, float('nan'), float('-inf'), 1e300, '500')),
             *((dict(create_response=bad), 'create_response is true or false, not ') for bad in (0, 'no', 'x' * 10000)), (dict(interrupt_response=1), 'interrupt_response is true or false, not 1'),
             (dict(treshold=.4), "did you mean 'threshold'?"), ({'x' * 100000: 1}, 'no setting of turn_detection'), (dict(create_response=False), SERVER_VAD | dict(create_response=False))]

def test_turn_detection_is_understood_alike_over_the_websocket_and_the_data_channel(served, question):
    from websockets.sync.client import connect
    updates = [json.dumps(dict(type='session.update', session=dict(turn_detection=given))) for given, _ in DETECTION]
    def taken(e): return e['session']['turn_detection'] if e['type'] == 'session.updated' else e['error']['message']
    with connect(f'{served.url}/v1/realtime'.replace('http', 'ws')) as ws:
        assert json.loads(ws.recv(60))['session']['turn_detection'] == SERVER_VAD
        by_socket = []
        for u in updates:
            ws.send(u)
            by_socket.append(taken(json.loads(ws.recv(60))))
    async def work(http):
        c, got = Client(), []
        await c.enter(http)
        assert (await c.until('session.created'))['session']['turn_detection'] == SERVER_VAD
        for u in updates:
            c.channel.send(u)
            await c.so_that(lambda: c.events)
            got.append(taken(c.events.pop(0)))
        c.mic.say(question)                                       # the last update: no answer begins by itself
        for kind in 'speech_started', 'speech_stopped', 'committed': await c.until(f'input_audio_buffer.{kind}')
        c.send(type='response.create')
        assert (await c.until('response.created')) and not c.events[:-1]
        await http.delete(c.place)
        await c.pc.close()
        return got
    by_peer = talks(work, served.url)
    for (given, wanted), one, two in zip(DETECTION, by_socket, by_peer):
        assert one == two and (wanted in one and len(one) < 250 if isinstance(wanted, str) else one == wanted), (given, one, two)

class Endless:
    "A conversation whose answer goes on until it is interrupted"
    history, voice, heard_seconds = (), 'hibari', 0.
    def __init__(self): self.stop = threading.Event()
    def interrupt(self): self.stop.set()
    def stream(self, question):
        from lipsync_kit.live.conversation import Event
        self.stop.clear()
        yield Event('heard', '', 0.)
        self.stop.wait(60)

TURN = ['speech_started', 'speech_stopped', 'committed']
@pytest.mark.parametrize('by', ['websocket', 'peer'])
@pytest.mark.parametrize('seconds', [.06, 30])       # a client may send all it has at once
@pytest.mark.parametrize('how, turns, responses', [
    ({}, [*TURN, 'created', *TURN, 'created'], ['cancelled', 'cancelled']),                   # the second one by `close`
    (dict(create_response=False), TURN * 2, []),
    (dict(interrupt_response=False), [*TURN, 'created', *TURN, 'error'], ['cancelled']),      # the avatar goes on
    (dict(create_response=False, interrupt_response=False), TURN * 2, []),
    (None, [], [])])
def test_turns_are_taken_alike_from_events_and_from_a_track(by, seconds, how, turns, responses, question):
    import base64
    from lipsync_kit.serve.realtime import Exchange
    from lipsync_kit.serve.turns import ListeningSession
    from lipsync_kit.serve.webrtc import PeerSession
    session, told = (ListeningSession if by == 'websocket' else PeerSession)(Endless()), []
    exchange = Exchange(session, told.append)
    exchange.take(json.dumps(dict(type='session.update', session=dict(turn_detection=how))))
    once = np.concatenate([resample(Audio(question, 48000), 24000).samples, np.zeros(24000, np.float32)])
    x, n = np.concatenate([once, once]), round(seconds * 24000)
    for i in range(0, len(x), n):
        pcm = np.rint(x[i:i + n] * 32767).astype('<i2')
        if by == 'peer': exchange.tell(session.hear(pcm.astype(np.float32) / 32768))
        else: exchange.take(json.dumps(dict(type='input_audio_buffer.append', audio=base64.b64encode(pcm.tobytes()).decode())))
    going_on = session.response and not session.cancelled
    exchange.close()
    kinds = [e['type'].rpartition('.')[2] for e in told[1:]]
    assert [k for k in kinds if k in {*TURN, 'created', 'error'}] == turns
    assert [e['response']['status'] for e in told if e['type'] == 'response.done'] == responses and bool(going_on) == bool(responses)
    assert kinds.count('truncated') == (by == 'peer' and responses.count('cancelled') == 2)
    assert len({e['item_id'] for e in told if e['type'].startswith('input_audio')}) == turns.count('committed')

def test_what_is_wrong_is_one_answer_and_a_third_session_waits_for_a_seat(served):
    async def work(http):
        good = await Client().offer()
        broken = good.replace('m=video', 'm=vide0'), good[:300], good.replace('a=ice-ufrag', 'a=ice-nothing').replace('a=setup', 'a=x'), 'v=0\r\n', ''
        for sdp in broken:
            r = await http.post('/v1/whep', content=sdp, headers=SDP)
            assert r.status_code == 400 and set(r.json()['error']) == {'code', 'message', 'fix'} and len(r.json()['error']['message']) < 400, (sdp[:80], r.text)
        for query, status in ('?face=upload:none', 422), ('?face=../core.py', 422), ('?voice=/etc/passwd', 422):
            assert (await http.post('/v1/whep' + query, content=good, headers=SDP)).status_code == status
        assert (await http.post('/v1/whep', json={})).status_code == 415
        assert (await http.post('/v1/whep', content=good, headers=SDP | {'origin': 'http://evil.org'})).status_code == 403
        assert await seats(http) == 0                                            # nothing of it took a seat
        a, b, c = Client(), Client(microphone=False), Client()
        for x in a, b: assert (await x.enter(http)).status_code == 201
        full = await c.enter(http)
        assert (full.status_code, full.json()['error']['code'], full.headers['retry-after']) == (503, 'busy', '10')
        await b.until('session.created')
        await b.pc.close()                                                       # it leaves without a word to HTTP
        async with asyncio.timeout(40):
            while await seats(http) > 1: await asyncio.sleep(.2)
        d = Client()
        assert (await d.enter(http)).status_code == 201
        for x in a, d: await http.delete(x.place)
        assert await seats(http) == 0
        for x in a, c, d: await x.pc.close()
    talks(work, served.url)

FLAGS = ('--no-sandbox --disable-gpu --no-first-run --disable-background-networking --disable-component-update --disable-sync '
         '--use-fake-device-for-media-stream --use-fake-ui-for-media-stream --disable-features=WebRtcHideLocalIpsWithMdns').split()
# the microphone is refused, as a browser does it
REFUSE = "navigator.mediaDevices.getUserMedia = () => Promise.reject(new DOMException('Permission denied', 'NotAllowedError'))"
PIXELS = """() => { const v = document.querySelector('video'), c = document.createElement('canvas'); c.width = c.height = 32; const p = c.getContext('2d');
  p.drawImage(v, 0, 0, 32, 32); return [...p.getImageData(0, 0, 32, 32).data] }"""
HEARD = """async () => { let heard = false; (await pc.getStats()).forEach(r => {
  heard = heard || r.type == 'inbound-rtp' && r.kind == 'audio' && r.packetsReceived > 50 && r.totalAudioEnergy > 1e-4 }); return heard }"""

@pytest.fixture(scope='module')
def browser(tmp_path_factory, question):
    "Chromium whose microphone says the question again and again"
    playwright = pytest.importorskip('playwright.sync_api', reason='playwright is not installed')
    if not CHROMIUM: pytest.skip('no chromium on this machine')
    path = tmp_path_factory.mktemp('sound')/'question.wav'
    x = np.concatenate([np.zeros(48000 * 3), question, np.zeros(48000 * 10)])
    with wave.open(str(path), 'wb') as w:
        w.setnchannels(1); w.setsampwidth(2); w.setframerate(48000); w.writeframes((x * 32767).astype('<i2').tobytes())
    with playwright.sync_playwright() as p:
        b = p.chromium.launch(executable_path=CHROMIUM, args=[*FLAGS, f'--use-file-for-fake-audio-capture={path}'])
        yield b
        b.close()

def opened(browser, served, look='light', width=1280, script='', path='/talk'):
    "The page, once it has loaded what it shows"
    page = browser.new_context(color_scheme=look, viewport=dict(width=width, height=844)).new_page()
    page.outside = []
    page.on('request', lambda r: page.outside.append(r.url) if not r.url.startswith((served.url, 'blob:', 'data:')) else None)
    if script: page.add_init_script(script)
    page.goto(served.url + path)
    until(page, "!document.querySelector('#start').disabled || !document.querySelector('#bad').hidden")
    return page

def until(page, condition, seconds=90):
    "Polled from outside: what the page may load forbids Playwright's own way"
    end = time.monotonic() + seconds
    while not page.evaluate(condition):
        assert time.monotonic() < end, (condition, page.locator('body').inner_text()[:2000])
        page.wait_for_timeout(100)

def shot(page, name):
    "A screenshot where somebody wants to look at it"
    if folder := os.environ.get('LIPSYNC_SHOTS'): page.screenshot(path=Path(folder)/f'{name}.png', full_page=True)

def wait_for(page, condition):
    "Until something holds, or an error is shown"
    until(page, f"!!({condition}) || !document.querySelector('#bad').hidden")
    assert page.evaluate(f'!!({condition})'), page.locator('#bad').inner_text()

def test_the_page_talks_in_a_real_browser(browser, served):
    page = opened(browser, served)
    page.get_by_role('button', name='Start talking').click()
    asked = 'document.querySelector("#lines li.you")' if EARS else 'channel && channel.readyState == "open"'
    if not EARS: page.evaluate("fault('')")                                       # it said that it can't hear
    wait_for(page, asked)
    if EARS: assert understood(page.locator('#lines li.you span').first.inner_text())
    else: page.get_by_role('textbox', name='Or type').fill(QUESTION), page.get_by_role('button', name='Send').click()
    wait_for(page, 'document.querySelector("#lines li.face") && document.querySelectorAll("#times tr").length == 7')
    before, shown = page.evaluate(PIXELS), page.evaluate("document.querySelector('video').getVideoPlaybackQuality().totalVideoFrames")
    until(page, f"document.querySelector('video').getVideoPlaybackQuality().totalVideoFrames > {shown} + 10")
    video = page.evaluate("(v => [v.readyState, v.videoWidth, v.paused])(document.querySelector('video'))")
    assert video[0] >= 2 and video[1] > 0 and not video[2]
    assert np.abs(np.subtract(before, page.evaluate(PIXELS))).max() > 2           # the picture changes
    until(page, HEARD)
    shot(page, 'talk_light_1280')
    mute = page.get_by_role('button', name='Mute')
    mute.click()
    assert page.evaluate('mic.getAudioTracks()[0].enabled') is False and page.locator('#mute').get_attribute('aria-pressed') == 'true'
    page.get_by_role('textbox', name='Or type').fill('How are you?')
    page.keyboard.press('Enter')                                                  # ends what is being said, if anything is
    wait_for(page, '[...document.querySelectorAll("#lines li.you span")].some(x => x.textContent == "How are you?")')
    page.locator('#quiet').click(timeout=60_000)
    wait_for(page, 'document.querySelector("#lines i") || document.querySelector("#quiet").disabled')
    page.emulate_media(color_scheme='dark'); page.set_viewport_size(dict(width=390, height=844))
    assert page.evaluate('document.documentElement.scrollWidth') <= 390
    shot(page, 'talk_dark_390')
    page.get_by_role('button', name='Stop').click()
    until(page, 'fetch("/v1/talk").then(r => r.json()).then(f => f.taken == 0)')
    assert page.locator('#state').inner_text() == 'Stopped.' and page.outside == []
    page.context.close()

def test_errors_of_the_page_are_explained_and_all_can_be_read(browser, served):
    pages = []
    for look, width in ('light', 390), ('dark', 1280):
        page = opened(browser, served, look, width, REFUSE)
        page.get_by_role('button', name='Start talking').click()
        page.get_by_role('button', name='Start without a microphone').wait_for(timeout=60_000)
        assert 'The microphone was refused. Allow it' in page.locator('#bad').inner_text()
        page.locator('summary').click()
        assert page.evaluate(FAINT) == [] and unnamed(page) == [] and page.evaluate('document.documentElement.scrollWidth') <= width
        shot(page, f'refused_{look}_{width}')
        page.get_by_role('button', name='Start without a microphone').click()
        wait_for(page, 'place && channel && channel.readyState == "open"')
        pages.append(page)
    full = opened(browser, served, script=REFUSE)
    assert 'sessions of this server are taken' in full.locator('#state').inner_text()
    full.get_by_role('button', name='Start talking').click()
    full.get_by_role('button', name='Start without a microphone').click(timeout=60_000)
    full.locator('#bad').filter(has_text='sessions are taken; try again later').wait_for(timeout=60_000)
    shot(full, 'full')
    for page in pages: page.close()                                               # the tabs vanish
    until(full, 'fetch("/v1/talk").then(r => r.json()).then(f => f.taken == 0)')
    full.context.close()

def test_the_server_ends_while_peers_are_there(tmp_path):
    "Ctrl-C in the middle of an answer"
    served = Served(tmp_path)
    async def work(http):
        c = Client(microphone=False)
        await c.enter(http)
        await c.until('session.created')
        c.ask(QUESTION)
        await c.until('output_audio_buffer.started')
        said = await asyncio.to_thread(served.end)
        await c.pc.close()
        return said
    said = talks(work, served.url)
    assert served.process.returncode in (0, -signal.SIGINT, 130), said
    assert 'shutdown complete' in said
    assert not any(word in said for word in ('Traceback', 'Warning', 'ERROR', 'never retrieved', 'was destroyed')), said

def test_the_stages_of_a_live_answer_come_out_as_spans(monkeypatch):
    "A real SDK of OpenTelemetry, whose exporter keeps them"
    pytest.importorskip('opentelemetry.sdk', reason='opentelemetry-sdk is not installed')
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import SimpleSpanProcessor
    from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
    from test_live import Stuck
    from lipsync_kit import logs
    from lipsync_kit.live.avatar import AudioFrame, Avatar
    from lipsync_kit.live.spoken import SpokenConversation
    provider, kept = TracerProvider(), InMemorySpanExporter()
    provider.add_span_processor(SimpleSpanProcessor(kept))
    monkeypatch.setattr(logs, '_tracer', lambda: provider.get_tracer('lipsync_kit'))
    talk = SpokenConversation(Avatar(Stuck(), rate=16000), chat='scripted', voice='hibari')
    thread = threading.Thread(target=lambda: list(talk.stream(QUESTION)), daemon=True)
    thread.start()
    while thread.is_alive():
        for item in talk.avatar.next(): talk.played(item)
    monkeypatch.setattr('lipsync_kit.live.conversation.question_of', lambda *_: QUESTION)     # a recogniser may be missing
    talk.heard(Audio(np.zeros(160, np.float32), 16000))
    spans = {}
    for s in kept.get_finished_spans(): spans.setdefault(s.name, []).append(s.end_time - s.start_time)
    assert set(spans) >= {'live.answer', 'live.words', 'live.sentence', 'live.voice', 'live.turn', 'live.frame', 'live.draw', 'live.hear'}
    assert all(d >= 0 for ds in spans.values() for d in ds) and max(spans['live.answer']) >= max(spans['live.voice']) > 0

def test_spans_go_to_the_collector_that_the_environment_names(tmp_path):
    code = 'from lipsync_kit.logs import send_spans, stage\nassert send_spans()\nwith stage("live.draw"): pass\nfrom opentelemetry import trace\ntrace.get_tracer_provider().shutdown()'
    from http.server import BaseHTTPRequestHandler, HTTPServer
    got = []
    class Collector(BaseHTTPRequestHandler):
        def do_POST(self):
            got.append((self.path, self.rfile.read(int(self.headers['content-length']))))
            self.send_response(200)
            self.send_header('content-length', '0')
            self.end_headers()
        def log_message(self, *_): pass
    server = HTTPServer(('127.0.0.1', 0), Collector)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    own = os.environ | dict(PYTHONPATH=os.pathsep.join([str(ROOT), os.environ.get('PYTHONPATH', '')]), OTEL_EXPORTER_OTLP_ENDPOINT=f'http://127.0.0.1:{server.server_port}', OTEL_EXPORTER_OTLP_COMPRESSION='none')
    r = subprocess.run([sys.executable, '-c', code], env=own, capture_output=True, text=True)
    server.shutdown()
    if r.returncode: assert "pip install 'lipsync_kit[otel]'" in r.stderr            # the exporter is not installed
    else: assert got and got[0][0] == '/v1/traces' and b'live.draw' in got[0][1] and b'lipsync_kit' in got[0][1]
