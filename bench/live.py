"""The live avatar, portrait at 256 px and 25 fps: how long until it speaks and until it is silent, what a second of sound costs, whether it keeps time.

Other programs on the machine would spoil wall-clock times, so time is virtual: the seconds of sound that had to be waited for, plus the CPU seconds that were computed until the frame was out."""
import gc, sys, time
from importlib.resources import files
import numpy as np
from lipsync_kit.core import Audio
from lipsync_kit.live.avatar import AudioFrame, Avatar, VideoFrame
from lipsync_kit.motion.audio2motion import MotionStream, speech_to_motion
from lipsync_kit.motion.track import join
from lipsync_kit.speech.tts import speak

PHOTO = str(files('lipsync_kit')/'data'/'astronaut.jpg')
TEXTS = 'Good morning, everybody.', 'People push big blue boxes over the bridge.', 'How do you do today, my friends?', 'Five fine vans were parked by the pump.'
SPEECH = [speak(t).audio for t in TEXTS]
SPEECH = [Audio(a.samples[np.flatnonzero(np.abs(a.samples) > .02)[0]:], a.rate) for a in SPEECH]     # from the first audible sample

def cpu(): return time.process_time()
def spread(x, unit='ms'): return f'p50 {1000 * np.percentile(x, 50):.0f} {unit}, p95 {1000 * np.percentile(x, 95):.0f} {unit} (n={len(x)})'
def new(**kw): return Avatar(PHOTO, size=256, **kw)
def spoken(group): return any(isinstance(i, AudioFrame) and i.heard is not None for i in group)

def hearing():
    "CPU seconds for a second of sound, live and as a whole, and how far the motion differs"
    total = sum(a.duration for a in SPEECH)
    speech_to_motion(SPEECH[0])
    t = cpu(); whole = [speech_to_motion(a) for a in SPEECH]; offline = (cpu() - t) / total
    t = cpu(); live = []
    for a in SPEECH:
        stream = MotionStream()
        got = [stream.push(a.cut(s, min(s + .1, a.duration))) for s in np.arange(0, a.duration, .1)] + [stream.flush()]
        live.append(join([p for p in got if p is not None]))
    online = (cpu() - t) / total
    x, y = (np.concatenate([m.mouth_open for m in ms]) for ms in (live, whole))
    print(f'hearing: {online:.3f} CPU s a second of sound live, {offline:.3f} as a whole: {online / offline:.2f} times (target 2); '
          f'opening differs by {np.abs(x - y).mean():.4f} of the distance of the eyes, correlation {np.corrcoef(x, y)[0, 1]:.3f}')

def until_speech(avatar, idle:float, drip:float, rounds:int=20):
    "Virtual seconds from the first pushed sample to the frame that shows it; sound comes `drip` times as fast as it is spoken"
    res = []
    for k in range(rounds):
        for _ in range(round(idle * 25)): avatar.next()
        for _ in range(5): avatar._make()                       # what is drawn in advance while idle
        speech = SPEECH[k % len(SPEECH)]
        at, arrived = 0., 0.
        while True:
            step = min(.02, speech.duration - arrived)
            if step > 0:
                avatar.push_audio(speech.cut(arrived, arrived + step).samples, speech.rate)
                arrived += step
                at += step / drip
            else: avatar.end_segment()
            if avatar.engine.ready(): break
        t = cpu()
        group = avatar.next()
        res.append(at + cpu() - t)
        assert spoken(group), 'the next frame speaks'
        if arrived < speech.duration: avatar.push_audio(speech.cut(arrived, speech.duration).samples, speech.rate)
        avatar.end_segment()
        while spoken(avatar.next()): pass
    return res

def interruptions(avatar, rounds:int=20):
    "From the interruption to the last audible sample, and by how much the position is wrong"
    late, wrong = [], []
    for k in range(rounds):
        speech = SPEECH[k % len(SPEECH)]
        avatar.push_audio(speech.samples, speech.rate)
        avatar.end_segment()
        taken = 0.
        for _ in range(6 + k): taken += sum(float(1 / 50) for i in avatar.next() if isinstance(i, AudioFrame) and i.heard is not None)
        for _ in range(5): avatar._make()
        heard = avatar.clear_buffer()
        t = cpu()
        group = avatar.next()
        late.append(.02 + cpu() - t if not spoken(group) else 1.)     # the piece of 20 ms that is sounding goes on to its end
        wrong.append(abs(heard - min(taken, speech.duration)))
    return late, wrong

def drift(hours:float=1.):
    "An hour of talk and silence through the engine and a session that draws nothing"
    from fractions import Fraction
    from lipsync_kit.core import Frame
    from lipsync_kit.models.contract import Resumed, Session
    class Numbers(Session):
        fps = Fraction(30000, 1001)
        def __init__(self): self.heard, self.n = 0., 0
        def push(self, audio):
            self.heard += len(audio.samples) / 16000
            while float(self.n / self.fps) + .14 < self.heard:
                self.n += 1
                yield Frame(np.zeros((8, 8, 3), np.uint8), Fraction(self.n - 1) / self.fps)
        def flush(self): return iter(())
        def interrupt(self, frame=None):
            self.n = min(self.n if frame is None else frame, self.n)
            self.heard = round(float(self.n / self.fps) * 16000) / 16000
            return Resumed(self.n, self.heard)
    avatar, rng, samples, worst, n = Avatar(Numbers(), rate=24000), np.random.default_rng(0), 0, 0., 0
    while (at := float(n / avatar.fps)) < hours * 3600:
        if rng.random() < .01:
            avatar.push_audio(np.full(round(24000 * rng.uniform(.1, 6)), .1, np.float32), 24000)
            avatar.end_segment()
        if rng.random() < .002: avatar.clear_buffer()
        for i in avatar.next():
            if isinstance(i, AudioFrame): samples += len(i.samples)
            else: worst = max(worst, abs(samples / 24000 - float(i.time))) if isinstance(i, VideoFrame) else worst
        n += 1
    print(f'clock: {hours:g} h of 29.97 fps with {samples / 24000 / 3600:.4f} h of audio: picture and sound are never further apart than {1000 * worst:.0f} ms (target 40)')

def load(n:int=2, seconds:float=20.):
    "CPU seconds of `n` avatars that speak at once, a second of each"
    avatars = [new() for _ in range(n)]
    for a in avatars:
        for _ in range(3):
            for s in SPEECH: a.push_audio(s.samples, s.rate); a.end_segment()
    for a in avatars: a.next()
    t, w = cpu(), time.perf_counter()
    for _ in range(round(seconds * 25)):
        for a in avatars: a.next()
    c = cpu() - t
    print(f'{n} avatars at once: {c / seconds:.2f} CPU seconds a second of both (2 cores give 2), {(time.perf_counter() - w) / seconds:.2f} s by the wall clock')

def main():
    hearing()
    avatar = new()
    avatar.next()
    print('first frame after speech begins, sound at the speed of speech:', spread(until_speech(avatar, .4, 1.)), '(target 350 p95)')
    print('first frame after speech begins, sound five times as fast:', spread(until_speech(avatar, .4, 5.)), '(target 350 p95)')
    minutes = float(sys.argv[1]) if len(sys.argv) > 1 else 10.
    for _ in range(round(minutes * 60 * 25)): avatar.next()
    print(f'silence to speech after {minutes:g} minutes of idling, sound five times as fast:', spread(until_speech(avatar, 1., 5., 12)), '(target 300 p95)')
    late, wrong = interruptions(avatar)
    print('interruption to silence:', spread(late), f'(target 200); the position is wrong by {1000 * max(wrong):.0f} ms at most (target 20)')
    drift()
    load()

if __name__ == '__main__': main()
