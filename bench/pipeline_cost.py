"Core-milliseconds a frame of dubbing beside the networks, against plain decoding and encoding of the same video: 720p for every dubbing model, 1080 x 1920 for the portrait."
import argparse, tempfile, time
from functools import partial
from pathlib import Path
import numpy as np, torch
from lipsync_kit import lipsync
from lipsync_kit.faces import detect
from lipsync_kit.media.read import read_frames
from lipsync_kit.media.write import Writer
from lipsync_kit.models.latentsync import model as latentsync
from lipsync_kit.models.musetalk import model as musetalk
from lipsync_kit.models.wav2lip import model as wav2lip
from lipsync_kit.motion.audio2motion import speech_to_motion
from lipsync_kit.speech.tts import speak
from dub import scene
from latent_pipeline import stand_ins

TEXT = 'This is read aloud for a while, so that there is something to say in eight seconds of film, or nearly so. It goes on for a little longer.'
TARGET = 1.6

def film(path, n, w, h):
    with Writer(path, w, h, 25, crf=18) as out:
        for i in range(n): out.write(scene(i, w, h))
    return path

def plain(src, out, size, rgb=False):
    "Decoded, and encoded as it is or through `rgb`, with the settings that a dubbed video has"
    with Writer(out, *size, 25) as w:
        for f in read_frames(src): w.write(f.image if rgb else f.pixels, f.time)

def least(f, runs):
    "Core-seconds and wall seconds of the cheapest of a few runs; the first one, which loads models, does not count"
    f(); took = []
    for _ in range(runs):
        cpu, wall = time.process_time(), time.perf_counter(); f(); took.append((time.process_time() - cpu, time.perf_counter() - wall))
    return min(took)

def networks_that_answer_at_once():
    "Stand-ins; torch has nothing else to compute, and its threads would burn time waiting for one another"
    torch.set_num_threads(1)
    wav2lip.network = lambda *a, **k: lambda mel, faces: np.ascontiguousarray(faces[:, 3:])
    others = stand_ins()
    def sound(audio, *_, **__): yield np.zeros((int(50 * audio.duration) + 50, 5, 384), np.float32)
    def network(name, build, *a, **k): return sound if build.__name__ == 'load_whisper_encoder' else others(name, build, *a, **k)
    latentsync.load_network = musetalk.load_network = network

def face_network(talk, n):
    "Core-milliseconds a frame of the network that finds the landmarks, alone: the pictures that one run gives it, given to it again"
    asked, raw = [], detect._raw
    def kept(image, *wish): asked.append((image.copy(), *wish)); return raw(image, *wish)
    detect._raw = kept
    try: talk()
    finally: detect._raw = raw
    return 1000 / n * least(lambda: [raw(*a) for a in asked], 3)[0]

def main():
    p = argparse.ArgumentParser(description=__doc__)
    p.add_argument('--frames', type=int, default=200); p.add_argument('--runs', type=int, default=3); p.add_argument('--only', default='', help='models, by commas')
    a = p.parse_args(); n = a.frames
    networks_that_answer_at_once()
    with tempfile.TemporaryDirectory() as d:
        d = Path(d); weights = d/'none.pth'; weights.write_bytes(b'stand-in'); sound = speak(TEXT).audio.cut(0, n / 25)
        motion = speech_to_motion(sound, fps=25)
        models = dict(portrait=dict(motion=motion), wav2lip=dict(weights=weights), **{'musetalk-1.5': {}, 'latentsync-1.5': dict(steps=1)})
        for (w, h), names in (((1280, 720), models), ((1080, 1920), ['portrait'])):
            src, out = film(d/f'{w}.mp4', n, w, h), d/'out.mp4'
            base, wall = least(partial(plain, src, out, (w, h)), a.runs)
            through, _ = least(partial(plain, src, out, (w, h), True), a.runs)
            print(f'{w}x{h}: plain decoding and encoding {1000 * base / n:.1f} core-ms a frame, {1000 * through / n:.1f} through RGB; {1000 * wall / n:.1f} ms on the wall', flush=True)
            for name in (x for x in names if not a.only or x in a.only.split(',')):
                talk = lambda: lipsync(src, sound, out=out, model=name, fit='trim', **models[name])
                cpu, wall = least(talk, a.runs)
                face = face_network(talk, n)
                print(f'  {name:15} {1000 * cpu / n:5.1f} core-ms a frame beside its networks, {cpu / base:.2f} times plain, {cpu / through:.2f} times that through RGB (target {TARGET}); {n / 25 / wall:.2f} times real time on this machine', flush=True)
                print(f'  {"":15} of which {face:.1f} the face network; without it {(1000 * cpu / n - face) / (1000 * base / n):.2f} and {(1000 * cpu / n - face) / (1000 * through / n):.2f} times', flush=True)
            cpu, wall = least(lambda: lipsync(src, sound, out=out, fit='trim'), 1)
            print(f'  portrait with the motion network {1000 * cpu / n:.1f} core-ms a frame, {n / 25 / wall:.2f} times real time', flush=True)

if __name__ == '__main__': main()
