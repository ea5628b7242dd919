"Dubbing 720p with the full-size Wav2Lip network on random numbers: the whole pipeline against the network alone, and following a face against detecting it anew."
import tempfile, time
from fractions import Fraction
from pathlib import Path
import cv2, numpy as np, torch
from skimage import data
from lipsync_kit import lipsync
from lipsync_kit.core import Frame
from lipsync_kit.faces.track import FaceTracker
from lipsync_kit.media.write import Writer
from lipsync_kit.models.wav2lip import model as wav2lip
from lipsync_kit.faces.s3fd import S3FD
from lipsync_kit.nn.wav2lip import ORIGINAL, Wav2Lip
from lipsync_kit.speech.tts import speak
from lipsync_kit.hub.weights import load_weights, read_checkpoint

def scene(i, w=1280, h=720):
    "A talking head's frame: the astronaut on grey, swaying"
    M = cv2.getRotationMatrix2D((224, 110), 2 * np.sin(i / 9), 2.2); M[:, 2] += [416 + 12 * np.sin(i / 11), 220 + 6 * np.sin(i / 7)]
    return cv2.warpAffine(data.astronaut(), M, (w, h), borderMode=cv2.BORDER_REPLICATE)

def film(path, n=200):
    with Writer(path, 1280, 720, 25, crf=18) as w:
        for i in range(n): w.write(scene(i))
    return path

def whole(src, sound, weights, out):
    "Seconds of the pipeline with its model loaded, and what the network was given"
    got, network = [], wav2lip.network
    def recording(*a, **k):
        run = network(*a, **k)
        def draw(*x): got.append(x); return run(*x)
        return draw
    wav2lip.network = recording
    try: r = lipsync(src, sound, out=out, model='wav2lip', weights=weights)
    finally: wav2lip.network = network
    return r.timings['total'] - r.timings['loading'], got, r

def as_module(net):
    "A network on arrays, as PyTorch runs it by itself"
    @torch.inference_mode()
    def run(*x): return net(*map(torch.from_numpy, x)).numpy()
    return run

def alone(run, batches):
    t = time.perf_counter()
    for b in batches: run(*b)
    return time.perf_counter() - t

def main():
    torch.manual_seed(0)
    with tempfile.TemporaryDirectory() as d:
        d = Path(d); src = film(d/'film.mp4'); sound = speak('This is read aloud for a while, so that there is something to say in eight seconds of film, or nearly so. It goes on.').audio
        torch.save(Wav2Lip(ORIGINAL).state_dict(), d/'random.pth')
        run, ratios = wav2lip.network('wav2lip', d/'random.pth'), []
        plain = load_weights(Wav2Lip(ORIGINAL), read_checkpoint(d/'random.pth'))
        whole(src, sound, d/'random.pth', d/'out.mp4')
        for _ in range(3):
            wall, batches, r = whole(src, sound, d/'random.pth', d/'out.mp4')
            took = alone(as_module(plain), batches), alone(run, batches); ratios.append([wall / t for t in took])
            print(f"720p, {r.n_frames} frames: {1000 * wall / r.n_frames:.1f} ms a frame end to end; network alone: {1000 * took[0] / r.n_frames:.1f} as a plain module, {1000 * took[1] / r.n_frames:.1f} as we run it; " + ', '.join(f'{k} {v:.2f} s' for k, v in r.timings.items()))
        print('median ratio {:.3f} to the plain module (target at most 1.25), {:.3f} to the network as we run it'.format(*np.median(ratios, 0)))
    tracker, s3fd, took = FaceTracker(), S3FD().eval(), ([], [])
    for i in range(24):
        image = scene(i)
        t = time.perf_counter(); tracker(Frame(image, Fraction(i, 25))); took[0].append(time.perf_counter() - t)
        if i % 6 == 5:
            x = torch.from_numpy(image[None].transpose(0, 3, 1, 2).astype(np.float32))
            t = time.perf_counter()
            with torch.inference_mode(): s3fd(x)
            took[1].append(time.perf_counter() - t)
    a, b = (1000 * np.median(x) for x in took)
    print(f'720p: following a face {a:.1f} ms a frame, S3FD {b:.0f} ms a frame: {b / a:.0f} times')

if __name__ == '__main__': main()
