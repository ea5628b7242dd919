"The live avatar and the server, as other programs use them"
import asyncio, base64, json, os, subprocess, sys
from fractions import Fraction
from pathlib import Path
import numpy as np, pytest
from lipsync_kit.core import Frame, KitError
from lipsync_kit.live.avatar import AudioFrame, Avatar, SegmentEnd, VideoFrame
from lipsync_kit.models.contract import Model, Resumed, Session, model_cards

ROOT = Path(__file__).parent.parent
PHOTO = ROOT/'lipsync_kit'/'data'/'astronaut.jpg'

class Stuck(Session):
    "A session that can't go back, as MuseTalk's; its picture is the number of its frame"
    fps = Fraction(30000, 1001)
    def __init__(self): self.heard, self.n = 0., 0
    def push(self, audio):
        self.heard += audio.duration
        while float(self.n / self.fps) + .1 < self.heard:
            self.n += 1
            yield Frame(np.full((4, 4, 3), self.n % 250, np.uint8), Fraction(self.n - 1) / self.fps)
    def flush(self): return iter(())
    def interrupt(self, frame=None):
        self.heard = float(self.n / self.fps)
        return Resumed(self.n, self.heard)

def test_sound_and_picture_stay_together_whatever_happens():
    "Ten minutes of speech in pieces, interruptions and silence at 29.97 fps; each sample that is heard was pushed, in order"
    avatar, rng, samples, last = Avatar(Stuck(), rate=24000), np.random.default_rng(0), 0, 0.
    for n in range(round(600 * 29.97)):
        if rng.random() < .02:
            avatar.push_audio(rng.normal(0, .1, round(24000 * rng.uniform(.01, 4))).astype(np.float32), 24000)
            if rng.random() < .7: avatar.end_segment()
        if rng.random() < .005: assert avatar.clear_buffer() <= last + 1e-9
        for item in avatar.next():
            if isinstance(item, VideoFrame): assert abs(samples / 24000 - float(item.time)) <= .02 and item.time == Fraction(n) / avatar.fps
            if isinstance(item, AudioFrame):
                samples += len(item.samples)
                if item.heard is not None: last = item.heard

def test_all_that_is_pushed_is_heard_once_and_in_order():
    avatar = Avatar(Stuck(), rate=16000)
    said = np.arange(1, 16000 * 3 + 1, dtype=np.float32) / 1e5
    heard, ends, parts = [], 0, iter(np.array_split(said, 37))
    for n in range(200):
        for part in ([next(parts, None)] if n % 3 else ()):
            if part is not None: avatar.push_audio(part, 16000)
        if n == 60: avatar.end_segment()
        for item in avatar.next():
            if isinstance(item, AudioFrame) and item.heard is not None: heard.append(item.samples)
            ends += isinstance(item, SegmentEnd)
    heard = np.concatenate(heard)
    assert np.array_equal(heard[:len(said)], said) and not heard[len(said):].any() and ends == 1

def test_an_avatar_draws_ahead_and_stops_at_once():
    async def play():
        avatar, got = Avatar(Stuck(), paced=False), []
        async for item in avatar:
            got.append(item)
            if len(got) == 30:
                avatar.push_audio(np.ones(16000, np.float32), 16000)
                avatar.end_segment()
            spoken = [i for i in got if isinstance(i, AudioFrame) and i.heard]
            if len(spoken) == 20: break
        position = avatar.clear_buffer()
        assert abs(position - .4) < 1e-6 and len(avatar.out) <= avatar.room
        async for item in avatar:
            if isinstance(item, AudioFrame): assert item.heard is None and not item.samples.any()
            got.append(item)
            if len(got) > 140: break
        avatar.close()
        return [i.time for i in got if isinstance(i, VideoFrame)]
    times = asyncio.run(play())
    assert times == [Fraction(n) / Stuck.fps for n in range(len(times))]

def test_what_is_wrong_is_said():
    avatar = Avatar(Stuck())
    for samples, rate, words in ((np.zeros((2, 8)), 16000, 'one row'), ([float('nan')], 16000, 'not finite'), (np.zeros(8), 0, 'whole number'),
                                 (np.zeros(16000 * 130), 16000, 'push it later')):
        with pytest.raises(KitError, match=words): avatar.push_audio(samples, rate)
    avatar.push_audio(np.zeros(800, np.float32), 16000)
    with pytest.raises(KitError, match='end the segment'): avatar.push_audio(np.zeros(800), 8000)

def test_every_model_that_is_called_realtime_opens_a_session():
    from importlib import import_module
    for card in (c for c in model_cards().values() if c.can('realtime')):
        try: page = import_module(card.module)
        except ImportError: continue
        classes = [c for c in vars(page).values() if isinstance(c, type) and issubclass(c, Model) and c.__module__ == card.module]
        assert any('open_session' in vars(c) for c in classes), card.name

def test_nodes_for_comfyui_call_the_command_alone(tmp_path, monkeypatch):
    "The four nodes against a stand-in for the command, in a process that can't import the package"
    stand_in = tmp_path/'lipsync.py'
    stand_in.write_text('import json, sys, wave\na = sys.argv[1:]\nassert a[-1] == "--json"\n'
                        'out = a[a.index("-o") + 1] if "-o" in a else ""\n'
                        'if a[0] == "voices":\n w = wave.open(out, "wb"); w.setnchannels(1); w.setsampwidth(2); w.setframerate(8000); w.writeframes(bytes(160)); w.close()\n'
                        'bad = "broken" in a\n'
                        'print(json.dumps(dict(error=dict(code="bad_input", message="no face", fix="take another")) if bad else dict(path=out, args=a)))')
    code = f'''
import importlib.util, os, sys, numpy as np
os.environ["LIPSYNC_KIT_COMMAND"] = {f"{sys.executable} {stand_in}"!r}
spec = importlib.util.spec_from_file_location("nodes", {str(ROOT/"demos"/"comfyui"/"__init__.py")!r})
nodes = importlib.util.module_from_spec(spec); spec.loader.exec_module(nodes)
n = nodes.NODE_CLASS_MAPPINGS
audio, image = dict(waveform=np.zeros((1, 2, 800), np.float32), sample_rate=16000), np.zeros((1, 8, 8, 3), np.float32)
assert len(n) == 4 and all(c.INPUT_TYPES()["required"] for c in n.values())
assert n["LipsyncTalk"]().run(image, audio)[0].endswith("talk.mp4")
assert n["LipsyncTalkVideo"]().run("a.mp4", audio, options="--size 256")[0].endswith("talk.mp4")
assert n["LipsyncVoice"]().run("Hello")[0]["sample_rate"] == 8000
assert "score" in n["LipsyncScore"]().run("a.mp4")[0]
try: n["LipsyncScore"]().run("broken")
except RuntimeError as e: assert str(e) == "no face; take another"
else: raise AssertionError
assert not any(m.startswith("lipsync_kit") for m in sys.modules)
'''
    subprocess.run([sys.executable, '-c', code], check=True, cwd=tmp_path)

def test_the_workflow_of_n8n_is_whole():
    flow = json.loads((ROOT/'demos'/'n8n'/'talk.json').read_text())
    names = {n['name'] for n in flow['nodes']}
    for start, ways in flow['connections'].items(): assert {start} | {w['node'] for way in ways['main'] for w in way} <= names

def test_a_client_of_openai_sends_its_microphone_and_is_answered_and_interrupts(monkeypatch):
    "Over a socket, with the client of OpenAI; what was said is not recognised here but taken as given"
    from threading import Thread
    from time import sleep
    openai, uvicorn = pytest.importorskip('openai'), pytest.importorskip('uvicorn')
    from lipsync_kit.audio.signal import resample
    from lipsync_kit.live.conversation import Conversation
    from lipsync_kit.serve.guard import ServeOptions
    from lipsync_kit.serve.server import build_server
    from lipsync_kit.speech.tts import speak
    heard = []
    def hear(self, question):
        heard.append(question.duration)
        return 'How are you?'
    monkeypatch.setattr(Conversation, 'heard', hear)
    app = build_server(ServeOptions(chat='scripted', voice='hibari', options=dict(size=128, motion_model='rules')))
    server = uvicorn.Server(uvicorn.Config(app, port=0, log_level='critical'))
    thread = Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started: sleep(.01)
    port = server.servers[0].sockets[0].getsockname()[1]
    speech = resample(speak('Good morning, how are you?', 'hibari').audio, 24000)
    pcm = np.rint(np.concatenate([speech.samples, np.zeros(12000, np.float32)]) * 32767).astype('<i2')
    got = []
    with openai.OpenAI(websocket_base_url=f'ws://127.0.0.1:{port}/v1', api_key='none').beta.realtime.connect(model='any') as c:
        def until(kind):
            got.append(c.recv())
            while got[-1].type not in (kind, 'error'): got.append(c.recv())
            assert got[-1].type == kind, got[-1]
            return got[-1]
        def say():
            for piece in np.array_split(pcm, 20): c.input_audio_buffer.append(audio=base64.b64encode(piece.tobytes()).decode())
        assert until('session.created').session.turn_detection.type == 'server_vad'
        c.session.update(session=dict(turn_detection=dict(type='server_vad', silence_duration_ms=400)))
        assert until('session.updated').session.turn_detection.silence_duration_ms == 400
        say()
        until('response.audio.delta')
        say()                                        # the answer is being given
        assert until('response.done').response.status == 'cancelled'
        assert until('response.done').response.status == 'completed'
    kinds = [e.type.removeprefix('input_audio_buffer.') for e in got]
    turn = [k for k in kinds if k in ('speech_started', 'speech_stopped', 'committed', 'response.created', 'response.done')]
    assert turn[:5] == ['speech_started', 'speech_stopped', 'committed', 'response.created', 'speech_started']
    assert [k for k in turn if k.startswith('response')] == ['response.created', 'response.done'] * 2
    starts, ends = [e.audio_start_ms for e in got if hasattr(e, 'audio_start_ms')], [e.audio_end_ms for e in got if hasattr(e, 'audio_end_ms')]
    assert abs(starts[1] - starts[0] - len(pcm) / 24) < 60 and all(abs(e - s - 1000 * h) < 60 for s, e, h in zip(starts, ends, heard))
    server.should_exit = True
    thread.join(20)

def test_a_finished_job_is_reported_until_it_is_taken_and_redirects_are_not_followed(tmp_path):
    from http.server import BaseHTTPRequestHandler, HTTPServer
    from threading import Thread
    from lipsync_kit.serve.jobs import Job, report
    answers, seen = [500, 302, 204], []
    class Hook(BaseHTTPRequestHandler):
        def do_POST(self):
            seen.append((self.path, json.loads(self.rfile.read(int(self.headers['content-length'])))['id']))
            self.send_response(answers.pop(0))
            self.send_header('location', '/elsewhere')
            self.send_header('content-length', '0')
            self.end_headers()
        def log_message(self, *_): pass
    server = HTTPServer(('127.0.0.1', 0), Hook)
    Thread(target=server.serve_forever, daemon=True).start()
    job = Job('a', {}, tmp_path, f'http://127.0.0.1:{server.server_port}/hook', state='done')
    assert report(job, (0, 0, 0)) and seen == [('/hook', 'a')] * 3
    assert not report(Job('b', {}, tmp_path, 'http://127.0.0.1:9/'), (0,))
    server.shutdown()

def test_commands_that_the_skill_names_are_there():
    import re
    from lipsync_kit.cli.main import COMMANDS
    named = set(re.findall(r'`lipsync ([a-z]+)', (ROOT/'SKILL.md').read_text()))
    assert len(named) > 8 and named <= set(COMMANDS)
