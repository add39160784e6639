"""Writes synthetic annotated notes, dialogues and prompts, for training the tagger.

    python3 training/generate.py --corpora CORPORA --out FILE.jsonl [--documents 60000] [--seed 20261126]

CORPORA is the folder with `raw/` (human-written clinical text without labels), `gazetteers/` (public lists)
and `train/`. Identifiers are planted into the forms under `clauses/` and into human-written text; their
offsets (in code points) are kept through every kind of noise. The output depends on the arguments alone.
"""

import argparse
import json
import random
import re
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
from people import ORDINALS, STATE_NAMES, STATES, Lists, Person, Values, words_of  # noqa: E402

IGNORE = "IGNORE"
SLOT = re.compile(r"\{([a-z0-9]+)(?:\.([A-Za-z]+))?(?::(\d+)-(\d+))?\}")
SPOKEN = ("dialogue", "ambient", "commonwealth")
PEOPLE = ("pt", "dr", "dr2", "nurse", "rel", "per")
DRUGS = "metformin 500 mg BID|lisinopril 10 mg daily|atorvastatin 40 mg qhs|amoxicillin|Zofran 4 mg|warfarin|Lantus 20 units|albuterol|gabapentin 300 mg TID|sertraline|Eliquis 5 mg|prednisone taper|Keppra 500 mg|furosemide 40 mg IV|omeprazole|levothyroxine 75 mcg|ibuprofen 600|hydrocodone|Xarelto|Humira|insulin glargine|clopidogrel|ceftriaxone 1 g|vancomycin|trazodone|Ativan 1 mg|paracetamol|ramipril|salbutamol inhaler|codeine".split("|")
DIAGNOSES = "COPD|type 2 diabetes|hypertension|CHF with preserved EF|Crohn's disease|Parkinson's disease|Graves disease|atrial fibrillation|pneumonia|osteoarthritis of the knee|major depressive disorder|Bell's palsy|Hashimoto's thyroiditis|breast cancer|asthma|chronic kidney disease stage 3|migraine|GERD|stroke|lupus|cellulitis|cholelithiasis|Barrett's esophagus|Hodgkin lymphoma|non-Hodgkin lymphoma|Meniere's disease|rheumatoid arthritis|UTI|sciatica|anxiety|Down syndrome|multiple sclerosis|Alzheimer's dementia|Lyme disease|gout|sleep apnea|psoriasis".split("|")
LABS = "Na 138|K 4.1|WBC 11.2|Hgb 9.8|creatinine 1.3|A1c 7.2%|troponin <0.01|INR 2.4|glucose 182|TSH 2.1|BNP 430|lactate 1.8|CRP 12|platelets 210|LDL 131|eGFR 58|PSA 3.2|Mg 1.9".split("|")
EPONYMS = "Foley catheter|Bovie cautery|Babinski sign|Murphy's sign|Kerrison rongeur|Swan-Ganz catheter|Glasgow Coma Scale 15|Apgar scores 8 and 9|Trendelenburg position|McBurney's point|Kocher clamp|Homans' sign|Romberg test|Allen test|Jackson-Pratt drain|Epley maneuver|Phalen's and Tinel's|Mayo stand|Gram stain|Doppler|Holter monitor|Weber and Rinne|Lachman test|Heimlich maneuver|Hartmann's pouch|Whipple procedure|Billroth II|Salter-Harris II|Braden scale 18|Mallampati II|Wells score 3|Ranson criteria|Cheyne-Stokes respirations|Kussmaul breathing|Charcot joint|Baker's cyst|Colles fracture|Weil osteotomy|Chopart joint|Penrose drain|Veress needle|Bair Hugger|Yankauer suction|Steri-Strips|Weitlaner retractor|Adson forceps|Metzenbaum scissors|Fogarty balloon|Judkins catheter|French sheath".split("|")
TIMES = "14:35|8:05 AM|0730|2:15 pm|noon|1600 hrs|9am|23:10|half past ten|07:45".split("|")
HOLIDAYS = "Thanksgiving|Christmas|Easter|New Year's Eve|Labor Day|the Fourth of July|Memorial Day|Halloween|Boxing Day|Mother's Day|Ramadan|Diwali".split("|")
COUNTRIES = "Peru|Mexico|India|Nigeria|Poland|Vietnam|Haiti|Canada|Italy|Ghana|Brazil|Egypt|Japan|Ireland|Somalia|Guatemala|Germany|Pakistan|Kenya|Spain".split("|")
UNITS = "Room 412|4 West|ICU bed 7|Bed 12B|5 North|room 3|MICU|Ward 6|Bay 4|3S|exam room 2|Unit 5B|ED 14|Rm 208".split("|")
WEEKDAYS = "Monday|Tuesday|Wednesday|Thursday|Friday|Saturday|Sunday|Mon|Tues|Thurs".split("|")


class Skip(Exception):
    """The form has a slot that nobody knows."""


def choose(form, rng):
    """Resolves `[a|b]` and escapes; what is escaped is kept apart from slots by private characters."""
    out, i = [], 0
    while i < len(form):
        c = form[i]
        if c == "\\" and i + 1 < len(form):
            if form[i + 1] == "n":
                out.append("\n")
            elif form[i + 1] in "[]|{}\\":
                out.append(chr(0xE000 + ord(form[i + 1])))
            else:
                out.append(form[i:i + 2])
            i += 2
        elif c == "[":
            end = i + 1
            while end < len(form) and form[end] != "]":
                end += 2 if form[end] == "\\" else 1
            inner = form[i + 1:end]
            if "|" in inner.replace("\\|", ""):
                parts = re.split(r"(?<!\\)\|", inner)
                out.append(choose(rng.choice(parts), rng))
            else:
                out.append("[" + choose(inner, rng) + "]")
            i = end + 1
        else:
            out.append(c)
            i += 1
    return "".join(out)


def plain(text):
    return re.sub("[\ue000-\ue0ff]", lambda m: chr(ord(m.group()) - 0xE000), text)


class World:
    """The people and values of one document."""

    def __init__(self, rng, lists):
        self.rng, self.lists = rng, lists
        self.people = {}
        self.values = Values(rng, lists)

    def person(self, role):
        if role not in self.people:
            person = Person(self.rng, self.lists)
            if role == "rel" and self.rng.random() < 0.45:
                person.last = self.person("pt").last
            self.people[role] = person
        return self.people[role]

    def slot(self, name, part, low, high):
        """The pieces `(text, label)` that stand for a slot."""
        r, v = self.rng, self.values
        if name in PEOPLE:
            return self.mention(self.person(name), part)
        if name == "num":
            return [(str(r.randint(int(low or 1), max(int(low or 1), int(high or 9)))), None)]
        one = lambda text, label: [(text, label)]
        match name, part:
            case "age", None: return one(v.age(), "AGE")
            case "age", "words": return one(words_of(int(v.age())), "AGE")
            case "age90", _: return one(v.age(over=True), "AGE")
            case "date", None: return one(v.date(), "DATE")
            case "dob", _: return one(v.date(old=True, style=r.choice([0, 1, 2, 3, 4, 6, 12, 14, 16, 17, 20, 0, 1])), "DATE")
            case "date", "short": return one(v.date_short(), "DATE")
            case "date", "month": return one(v.date_month(), "DATE")
            case "date", "spoken": return one(v.date_spoken(), "DATE")
            case "date", "iso": return one(v.date_iso(), "DATE")
            case "date", "long": return one(v.date_long(), "DATE")
            case "year", _: return one(str(r.randint(1950, 2026)), None)
            case "weekday", _: return one(r.choice(WEEKDAYS), None)
            case "holiday", _:
                day = r.choice(HOLIDAYS)
                return one(f"{day} {r.randint(2012, 2026)}", "DATE") if r.random() < 0.3 else one(day, IGNORE)
            case "time", _: return one(self.time(), None)
            case "phone", None: return one(v.phone(), "PHONE")
            case "fax", _: return one(v.phone(), "FAX")
            case "phone", "spoken": return one(v.spoken_digits(v.digits(10)), "PHONE")
            case "id", "spoken": return one(v.spoken_digits(v.digits(r.choice([6, 7, 8]))), "MRN")
            case "email", None: return one(self.email(), "EMAIL")
            case "email", "spoken": return one(self.email().replace("@", " at ").replace(".", " dot ").replace("_", " underscore "), "EMAIL")
            case "url", _: return one(r.choice(["https://", "http://", "www.", "https://portal."]) + f"{r.choice(['mychart', 'health', 'clinic', 'patientgateway'])}{r.randint(1, 99)}.example.org/{r.choice(['p', 'msg', 'visit', 'u'])}/{v.digits(6)}", "URL")
            case "ip", _: return one(".".join(str(r.randint(1, 254)) for _ in range(4)), "IP")
            case "username", _: return one(self.username(), "OTHER_ID")
            case "ssn4", _: return one(v.digits(4), "SSN")
            case "mrn" | "ssn" | "hpid" | "acct" | "lic" | "npi" | "dea" | "vin" | "plate" | "dev" | "acc" | "id", _:
                labels = {"mrn": "MRN", "ssn": "SSN", "hpid": "HEALTH_PLAN_ID", "acct": "ACCOUNT", "lic": "LICENSE", "npi": "LICENSE", "dea": "LICENSE", "vin": "VEHICLE", "plate": "VEHICLE", "dev": "DEVICE_ID", "acc": "OTHER_ID", "id": "OTHER_ID"}
                return one(v.code(name), labels[name])
            case "addr", _: return one(v.address(), "LOCATION")
            case "street", _: return one(v.street(), "LOCATION")
            case "city", _: return one(v.city(), "LOCATION")
            case "citystate", _: return one(v.citystate(), "LOCATION")
            case "zip", _: return one(v.zip(), "LOCATION")
            case "county", _: return one(v.county(), "LOCATION")
            case "village", _: return one(r.choice(self.lists.villages), "LOCATION")
            case "hosp", _: return one(v.hospital(), "LOCATION")
            case "clinic", _:
                from people import CLINIC_TAILS
                return one(v.org(CLINIC_TAILS, self.lists.clinics), "LOCATION")
            case "pharm", _:
                from people import PHARMACIES
                return one(r.choice(["CVS", "Walgreens", "Rite Aid", "Walmart Pharmacy", "Boots", "Kroger Pharmacy"]) if r.random() < 0.3 else v.org(PHARMACIES), "LOCATION")
            case "employer", _: return one(v.employer(), "LOCATION")
            case "school", _:
                from people import SCHOOL_TAILS
                return one(v.org(SCHOOL_TAILS, self.lists.universities), "LOCATION")
            case "church", _:
                from people import CHURCH_TAILS
                return one(v.org(CHURCH_TAILS), "LOCATION")
            case "nh", _:
                from people import NURSING_TAILS
                return one(v.org(NURSING_TAILS, self.lists.nursing), "LOCATION")
            case "day", _:
                d = r.randint(1, 31)
                suffix = "th" if 10 < d < 14 else {1: "st", 2: "nd", 3: "rd"}.get(d % 10, "th")
                return one(r.choice([f"the {d}{suffix}", f"the {d}{suffix}", f"the {ORDINALS[d - 1]}", f"{d}{suffix}"]), "DATE")
            case "biz", _: return one(v.business(), "LOCATION")
            case "hwy", _: return one(r.choice([f"I-{r.randint(4, 95)}", f"Route {r.randint(1, 400)}", f"Highway {r.randint(1, 99)}", f"the M{r.randint(1, 90)}", f"US {r.randint(1, 99)}", f"the A{r.randint(1, 900)}"]), "LOCATION")
            case "hood", _: return one(v.neighbourhood(), "LOCATION")
            case "state", _: return one(r.choice(STATES if r.random() < 0.3 else STATE_NAMES), None)
            case "country", _: return one(r.choice(COUNTRIES), None)
            case "unit", _: return one(r.choice(UNITS), None)
            case "prof", _: return one(v.profession(), "PROFESSION")
            case "drug", _: return one(self.drug(), None)
            case "dx", _: return one(r.choice(DIAGNOSES), None)
            case "lab", _: return one(r.choice(LABS), None)
            case "vitals", _: return one(r.choice([f"BP {r.randint(90, 190)}/{r.randint(50, 110)}, HR {r.randint(50, 130)}, RR {r.randint(10, 30)}, T {r.randint(96, 103)}.{r.randint(0, 9)}", f"{r.randint(90, 190)}/{r.randint(50, 110)} {r.randint(50, 130)} {r.randint(10, 30)} {r.randint(88, 100)}% RA", f"BP {r.randint(90, 190)}/{r.randint(50, 110)} HR {r.randint(50, 130)}"]), None)
            case "eponym", _: return one(self.eponym(), None)
        raise Skip(name)

    def mention(self, person, part):
        r = self.rng
        name = "NAME"
        she = person.sex == "F"
        pick = lambda a, b: [(a if she else b, None)]
        match part:
            case None: return [(person.mention(), name)]
            case "full": return [(person.full(), name)]
            case "first": return [(person.first, name)]
            case "last": return [(person.last, name)]
            case "nick": return [(person.nick, name)]
            case "initials": return [(person.initials(), name)]
            case "lastfirst": return [(person.last_first(), name)]
            case "spelled" | "spoken": return [(person.spelled(), name)]
            case "mr": return [(person.title + " ", None), (person.last if r.random() < 0.85 else person.full(), name)]
            case "dr": return [(person.doctor, None), (person.last if r.random() < 0.75 else person.full(), name)]
            case "cred": return [(person.full(), name), (r.choice([", ", ", ", ", ", " "]) + person.credential, None)]
            case "he": return pick("she", "he")
            case "him": return pick("her", "him")
            case "his": return pick("her", "his")
            case "He": return pick("She", "He")
            case "Him": return pick("Her", "Him")
            case "His": return pick("Her", "His")
            case "man": return pick(r.choice(["woman", "woman", "lady", "female"]), r.choice(["man", "man", "gentleman", "male"]))
            case "male": return pick("female", "male")
            case "mf": return pick("F", "M")
            case "word": return [(person.relative, None)]
        raise Skip(part)

    def time(self):
        r = self.rng
        h, m = r.randrange(24), r.randrange(60)
        if r.random() < 0.2:
            return r.choice(TIMES)
        return r.choice([f"{h:02}{m:02}", f"{h:02}{m:02}", f"{h:02}:{m:02}", f"{h % 12 or 12}:{m:02} {r.choice(['AM', 'PM', 'am', 'pm', 'a.m.'])}", f"{h:02}{m:02} hrs", f"{h % 12 or 12}{r.choice(['am', 'pm'])}", f"{h:02}{m:02}h", f"{h:02}00-{(h + 8) % 24:02}00"])

    def drug(self):
        r = self.rng
        if r.random() < 0.35:
            return r.choice(DRUGS)
        name = r.choice(self.lists.drugs)
        if r.random() < 0.35:
            name = name.lower()
        return name + r.choice(["", "", "", f" {r.choice([1, 2, 5, 10, 20, 25, 40, 50, 100, 250, 500])} mg", f" {r.choice([5, 10, 20, 100])}mg {r.choice(['daily', 'BID', 'PRN', 'qhs'])}", "®" if r.random() < 0.1 else ""])

    def eponym(self):
        r = self.rng
        if r.random() < 0.4:
            return r.choice(EPONYMS)
        name = r.choice(self.lists.eponyms)
        if r.random() < 0.2:
            name = f"{name.split(' ')[0]}-{r.choice(self.lists.eponyms).split(' ')[0]}"
        tail = r.choice("disease syndrome sign test procedure score classification criteria maneuver phenomenon fracture reflex operation tumor anomaly cyst clamp retractor forceps catheter needle drain scale index grade stain body nodes law protocol graft flap splint brace rod plate pouch hernia contracture palsy disorder".split())
        return name + r.choice(["'s ", " ", " ", "'s ", ""]) + r.choice([tail, tail, tail, tail.capitalize()])

    def email(self):
        r = self.rng
        p = self.person(r.choice(["pt", "dr", "per"]))
        clean = lambda s: re.sub("[^a-z]", "", s.lower()) or "x"
        first, last = clean(p.first), clean(p.last)
        local = r.choice([f"{first}.{last}", f"{first[0]}{last}", f"{first}{r.randint(1, 99)}", f"{first}_{last}", f"{last}.{first}", f"{first}{last}"])
        return local + "@" + r.choice(["gmail.com", "yahoo.com", "example.org", "hotmail.com", "clinic.example", "mail.example.com", "nhs.net", "outlook.com", "hospital.org"])

    def username(self):
        r = self.rng
        p = self.person(r.choice(["pt", "per"]))
        clean = lambda s: re.sub("[^a-z]", "", s.lower()) or "x"
        return r.choice([f"{clean(p.first)[0]}{clean(p.last)}{r.randint(1, 99)}", f"{clean(p.first)}.{clean(p.last)}", f"{clean(p.first)}_{r.randint(10, 1999)}", f"{clean(p.last)}{clean(p.first)[0]}"])

    def fill(self, form):
        """The pieces of a form."""
        form = choose(form, self.rng)
        pieces, at = [], 0
        for slot in SLOT.finditer(form):
            if slot.start() > at:
                pieces.append((plain(form[at:slot.start()]), None))
            pieces += self.slot(*slot.groups())
            at = slot.end()
        if at < len(form):
            pieces.append((plain(form[at:]), None))
        return pieces


# ---------------------------------------------------------------- noise, piece by piece

OCR = {"l": "1", "O": "0", "0": "O", "1": "l", "m": "rn", "e": "c", "S": "5", "B": "8", "I": "l", "h": "b", "rn": "m", "a": "o"}
NEAR = {"a": "s", "s": "a", "e": "r", "r": "e", "o": "p", "i": "o", "n": "m", "m": "n", "t": "y", "h": "g", "l": "k", "d": "f", "c": "v"}


def typos(text, rng, rate):
    out = []
    i = 0
    while i < len(text):
        c = text[i]
        if c.isalpha() and rng.random() < rate:
            kind = rng.randrange(4)
            if kind == 0:
                pass
            elif kind == 1 and i + 1 < len(text) and text[i + 1].isalpha():
                out += [text[i + 1], c]
                i += 1
            elif kind == 2:
                out += [c, c]
            else:
                out.append(NEAR.get(c, c))
        else:
            out.append(c)
        i += 1
    return "".join(out) or text


def ocr(text, rng, rate):
    out = []
    for c in text:
        if rng.random() < rate and c in OCR:
            out.append(OCR[c])
        elif c == " " and rng.random() < rate:
            out.append(rng.choice(["", "  "]))
        elif c.isalpha() and rng.random() < rate / 6:
            out.append(c + rng.choice(["'", ".", "~", " "]))
        else:
            out.append(c)
    return "".join(out) or text


def dictated(text):
    """As a recogniser of speech writes it: lower case, no marks but those inside words."""
    return re.sub(r"(?<!\d)[,.;:?!](?=\s|$)", "", text.lower())


def tokenised(text):
    """As transcripts for machines are written: lower case, a space on each side of every mark."""
    return re.sub(r"(?<=[a-z0-9\])])([,.?!;:])(?=\s|$)", r" \1", text.lower())


def wrap(pieces, rng):
    """Lines of a fixed width, as in printed notes."""
    width, column, out = rng.choice([60, 72, 80, 100]), 0, []
    for text, label in pieces:
        new = []
        for part in re.split(r"(\s)", text):
            if part == " " and column > width - rng.randrange(10):
                new.append("\n")
                column = 0
            else:
                new.append(part)
                column = 0 if part == "\n" else column + len(part)
        out.append(("".join(new), label))
    return out


def noise(pieces, rng, spoken):
    k = rng.random()
    if spoken and k < 0.18:
        return [(dictated(t), l) for t, l in pieces]
    if spoken and k < 0.32:
        return [(tokenised(t), l) for t, l in pieces]
    if spoken:
        k = (k - 0.32) / 0.68
    if k < 0.06:
        return [(t.lower(), l) for t, l in pieces]
    if k < 0.13:
        return [(t.upper(), l) for t, l in pieces]
    if k < 0.18:
        return [(typos(t, rng, 0.02), l) for t, l in pieces]
    if k < 0.21:
        return [(typos(t.lower(), rng, 0.03), l) for t, l in pieces]
    if k < 0.25:
        rate = rng.choice([0.01, 0.02, 0.04])
        return [(ocr(t, rng, rate), l) for t, l in pieces]
    if k < 0.33:
        return wrap(pieces, rng)
    if k < 0.36:
        # Names alone in capitals, or alone in lower case.
        change = rng.choice([str.upper, str.lower])
        return [(change(t) if l == "NAME" else t, l) for t, l in pieces]
    return pieces


def document(pieces, **more):
    text, spans, at = [], [], 0
    for piece, label in pieces:
        if label and piece.strip():
            lead = len(piece) - len(piece.lstrip())
            body = piece.strip()
            if spans and spans[-1]["end"] == at + lead and spans[-1]["label"] == label:
                spans[-1]["end"] = at + lead + len(body)
            else:
                spans.append({"start": at + lead, "end": at + lead + len(body), "label": label})
        text.append(piece)
        at += len(piece)
    return {"text": "".join(text), "spans": spans, **more}


# ---------------------------------------------------------------- composition

def lines(path):
    return [l for l in path.read_text(encoding="utf-8").split("\n") if l.strip() and not l.startswith("#")]


class Forms:
    def __init__(self, folder):
        self.clauses, self.negatives, self.docs = {}, {}, []
        for path in sorted(folder.glob("*.clauses")):
            self.clauses[path.stem] = lines(path)
        for path in sorted(folder.glob("*.negatives")):
            self.negatives[path.stem] = lines(path)
        for path in sorted(folder.glob("*.docs")):
            blocks = re.split(r"(?m)^%%\s*$", path.read_text(encoding="utf-8"))
            self.docs += [(path.stem, b.strip("\n")) for b in blocks if b.strip() and not b.strip().startswith("#!")]
        self.all_negatives = sorted({n for group in self.negatives.values() for n in group})


CALLED = re.compile(r"\b([Tt]he patient|[Tt]his patient|[Pp]atient|pt|Pt)\b(?!')")


def personal(text, world, rng, share):
    """Puts the person's name where the text says `the patient`."""
    pieces, at = [], 0
    for found in CALLED.finditer(text):
        before = text[max(0, found.start() - 12):found.start()].lower()
        if rng.random() > share or text[found.end():found.end() + 1] == ":" or before.endswith(("each ", "every ", "a ", "any ")):
            continue
        pieces.append((text[at:found.start()], None))
        part = rng.choice(["mr", "mr", "first", "last", "full", "mr"])
        pieces += world.mention(world.person("pt"), part)
        at = found.end()
    pieces.append((text[at:], None))
    return pieces


def carrier_document(rng, lists, forms, carriers, dialogues):
    world = World(rng, lists)
    spoken = rng.random() < 0.35
    if spoken:
        text = rng.choice(dialogues)
        units = [u for u in re.split(r"(?<=\n)", text) if u]
        kind = rng.choice(SPOKEN)
    else:
        text = rng.choice(carriers)
        start = rng.randrange(max(1, len(text) - 1200))
        start = text.rfind("\n", 0, start) + 1
        text = text[start:start + rng.randint(400, 1800)]
        units = [u for u in re.split(r"(?<=\n)|(?<=[.:] )", text) if u]
        kind = rng.choice(["inpatient", "inpatient", "outpatient", "world"])
    tags = {}
    if spoken and rng.random() < 0.5:
        tags = rng.choice([{"Doctor:": "[doctor]", "Patient:": "[patient]"}, {"Doctor:": "DR:", "Patient:": "PT:"}, {"Doctor:": "Clinician -", "Patient:": "Patient -"}, {"Doctor:": "D:", "Patient:": "P:"}, {"Doctor:": "", "Patient:": ""}])
    pieces = []
    share = rng.choice([0.0, 0.05, 0.15, 0.4])
    planted = rng.choice([0, 1, 1, 2, 3, 4])
    places = sorted(rng.sample(range(len(units) + 1), min(planted, len(units) + 1)))
    for i, unit in enumerate(units + [""]):
        while places and places[0] == i:
            places.pop(0)
            try:
                clause = world.fill(rng.choice(forms.clauses[kind] if kind in forms.clauses and rng.random() < 0.85 else rng.choice(list(forms.clauses.values()))))
            except Skip:
                continue
            prefix = ""
            if spoken and not re.match(r"^\[?[A-Z][A-Za-z]*\]?[:\-]", clause[0][0]):
                prefix = rng.choice(list(tags.values()) or ["Doctor:", "Patient:"]) + " "
            gap = "\n" if spoken or unit.endswith("\n") or rng.random() < 0.3 else " "
            if pieces and not pieces[-1][0].endswith((" ", "\n")):
                pieces.append((" ", None))
            pieces += [(prefix, None)] + clause + [(gap, None)]
        for old, new in tags.items():
            unit = unit.replace(old, new)
        pieces += personal(unit, world, rng, share)
    return document(noise(pieces, rng, spoken), complete=False)


def bundle(rng, lists, forms):
    world = World(rng, lists)
    kind = rng.choice(sorted(forms.clauses))
    spoken = kind in SPOKEN
    pieces = []
    gap = rng.choice(["\n", " ", " ", "\n\n"]) if not spoken else "\n"
    for _ in range(rng.randint(1, 9)):
        form = rng.choice(forms.all_negatives) if rng.random() < 0.3 else rng.choice(forms.clauses[kind])
        try:
            pieces += world.fill(form) + [(gap, None)]
        except Skip:
            continue
        if rng.random() < 0.25:
            world = World(rng, lists)
    return document(noise(pieces, rng, spoken))


def whole(rng, lists, forms):
    for _ in range(20):
        kind, form = rng.choice(forms.docs)
        try:
            return document(noise(World(rng, lists).fill(form), rng, kind in SPOKEN))
        except Skip:
            continue
    return bundle(rng, lists, forms)


def negative(rng, lists, forms):
    world = World(rng, lists)
    pieces = []
    gap = rng.choice(["\n", " "])
    for _ in range(rng.choice([1, 1, 1, 2, 4, 8])):
        try:
            pieces += world.fill(rng.choice(forms.all_negatives)) + [(gap, None)]
        except Skip:
            continue
    return document(noise(pieces, rng, False))


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--corpora", type=Path, required=True)
    arguments.add_argument("--out", type=Path, required=True)
    arguments.add_argument("--documents", type=int, default=60000)
    arguments.add_argument("--seed", type=int, default=20261126)
    options = arguments.parse_args()
    rng = random.Random(options.seed)
    lists = Lists(options.corpora / "gazetteers")
    forms = Forms(Path(__file__).parent / "clauses")
    carriers = [json.loads(l)["text"] for l in open(options.corpora / "raw" / "mtsamples.jsonl", encoding="utf-8")]
    both = [json.loads(l) for l in open(options.corpora / "raw" / "mts_dialog.jsonl", encoding="utf-8")]
    dialogues = [d["text"] for d in both if d["kind"] == "dialogue"]
    carriers += [d["text"] for d in both if d["kind"] != "dialogue" and len(d["text"]) > 200]
    kinds = [(0.34, lambda: carrier_document(rng, lists, forms, carriers, dialogues)), (0.34, lambda: bundle(rng, lists, forms)), (0.22, lambda: whole(rng, lists, forms)), (0.10, lambda: negative(rng, lists, forms))]
    with open(options.out, "w", encoding="utf-8") as out:
        for n in range(options.documents):
            k, at = rng.random(), 0.0
            for share, make in kinds:
                at += share
                if k < at:
                    break
            doc = make()
            if doc["text"].strip():
                out.write(json.dumps({"id": f"made-{n}", "source": "made", **doc}, ensure_ascii=False) + "\n")
            if n % 2000 == 0:
                print(f"\r{n:>7} of {options.documents}", end="", file=sys.stderr)
    print(file=sys.stderr)


if __name__ == "__main__":
    main()
