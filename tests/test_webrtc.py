"A talk over WebRTC: by aiortc as the client, and by a real browser with a false microphone"
import asyncio, json, os, shutil, signal, socket, subprocess, sys, time, wave
from fractions import Fraction
from pathlib import Path
import av, httpx, numpy as np, pytest
from lipsync_kit.audio.signal import resample
from lipsync_kit.core import KitError
from lipsync_kit.speech.stt import chosen_recogniser
from lipsync_kit.speech.tts import speak

pytest.importorskip('aiortc', reason='aiortc is not installed')
from aiortc import RTCConfiguration, RTCPeerConnection, RTCSessionDescription
from aiortc.mediastreams import MediaStreamError, MediaStreamTrack

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
    "`lipsync serve` as a process"
    def __init__(self, folder, *words, **env):
        self.port, self.log = free_port(), folder/'log'
        self.url = f'http://127.0.0.1:{self.port}'
        code = 'from lipsync_kit.cli.main import main; main()'
        own = os.environ | dict(PYTHONPATH=str(ROOT)) | env
        args = '--port', self.port, '--chat', 'scripted', '--voice', 'hibari', '--language', 'en', *words
        with self.log.open('w') as log:
            self.process = subprocess.Popen([sys.executable, '-c', code, 'serve', *map(str, args)], env=own, stdout=log, stderr=log)
        for _ in range(600):
            try: return self.up()
            except httpx.HTTPError:
                if self.process.poll() is not None: pytest.fail(self.log.read_text())
                time.sleep(.2)
        pytest.fail('the server did not come up')
    def up(self): httpx.get(f'{self.url}/health', timeout=5).raise_for_status()
    def end(self):
        "Ends it as Ctrl-C does; what it wrote"
        self.process.send_signal(signal.SIGINT)
        self.process.wait(30)
        return self.log.read_text()

@pytest.fixture(scope='module')
def served(tmp_path_factory):
    s = Served(tmp_path_factory.mktemp('serve'))
    yield s
    if s.process.poll() is None: s.process.kill()

@pytest.fixture(scope='module')
def question(): return resample(speak(QUESTION, 'hibari').audio, 48000).samples

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
    return asyncio.run(run())

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
        assert 'who are you' in heard.lower()
        await c.until('output_audio_buffer.started')
        await c.so_that(lambda: len(c.loud()) > 20)
        c.mic.say(question)
        assert (await c.until('conversation.item.truncated'))['audio_end_ms'] > 100
        assert (await c.until('response.done'))['response']['status'] == 'cancelled'
        await c.until('output_audio_buffer.started')                            # the second question is answered too
        await http.delete(c.place)
        await c.pc.close()
    talks(work, served.url)

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

def test_the_server_ends_while_peers_are_there(served):
    "Last of those who use it: Ctrl-C in the middle of an answer"
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
