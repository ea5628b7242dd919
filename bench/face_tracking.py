"What it costs to follow a face: a 720p frame against a crop of 256 pixels, in one run"
import time
from fractions import Fraction
import cv2, numpy as np
from skimage import data
from lipsync_kit.core import Frame
from lipsync_kit.faces.detect import _raw, detect_faces, landmarks
from lipsync_kit.faces.track import FaceTracker

def per_call(fs, n=60):
    "Median milliseconds of each of `fs`, called in turns"
    for f in fs: f(0)
    took = [[] for _ in fs]
    for i in range(n):
        for f, ms in zip(fs, took): t = time.perf_counter(); f(i + 1); ms.append(1000 * (time.perf_counter() - t))
    return np.median(took, 1)

def main():
    head = data.astronaut()[:300, 80:380]
    crop = cv2.resize(head, (256, 256), interpolation=cv2.INTER_AREA)
    for name, w, h in (('720p', 1280, 720), ('1080p', 1920, 1080)):
        scene = np.full((h, w, 3), 110, np.uint8); scene[200:500, 400:700] = head
        tracker = FaceTracker()
        base, took = per_call([lambda i: _raw(crop), lambda i: tracker(Frame(scene, Fraction(i, 25)))])
        print(f'a {name} frame while a face is followed {took:.1f} ms, one look at a crop of 256 pixels {base:.1f} ms: {took / base:.2f} times')
        one, every = per_call([lambda i: landmarks(scene), lambda i: detect_faces(scene, None)], 3)
        print(f'   the face of a picture {one:.0f} ms; all faces, tiles and all {every:.0f} ms')

if __name__ == '__main__': main()
