"""Synthetic people, places and numbers. Nothing here describes a real person.

Names are drawn from public lists of counts (Census, SSA) and from short lists by culture below; a part
is spelled by a letter chain, so that no tagger can know it. Every value is a draw from a random
generator that the caller seeds.
"""

import csv
import random
import re
from pathlib import Path

# Given names (women | men) and surnames by culture. Short on purpose: the public lists hold the rest.
CULTURES = {
    "west_african": ("Adaeze Chiamaka Ngozi Folake Yetunde Oyinlola Abena Ama Efua Akosua Temitope Ifeoma Aissatou Fatoumata Mariama Kehinde",
                     "Chukwuemeka Emeka Obinna Olumide Babatunde Tunde Segun Kwame Kofi Kwabena Mamadou Ousmane Ibrahima Ikenna Uche Femi",
                     "Okonkwo Adeyemi Okafor Nwosu Eze Obi Adebayo Balogun Mensah Owusu Boateng Asante Diallo Diop Ndiaye Traoré Achebe Ogunleye Nwachukwu Oyelaran"),
    "east_african": ("Almaz Tigist Hiwot Selam Amina Halima Wanjiru Njeri Akinyi Nakato Hodan Ifrah Ayaan Makena",
                     "Tesfaye Abebe Dawit Yonas Mohamud Abdi Otieno Kamau Mwangi Kiprono Juma Mugisha Warsame Bekele",
                     "Tesfaye Bekele Haile Gebremariam Abdullahi Warsame Farah Odhiambo Kamau Mwangi Wanyama Njoroge Mugabo Kiplagat Omondi"),
    "south_asian": ("Priya Ananya Lakshmi Sunita Kavya Meera Deepa Shreya Nirmala Radha Fatima Ayesha Zainab Harpreet Gurleen Thilini Anjali Pooja",
                    "Rajesh Arjun Vikram Sanjay Anil Karthik Ravi Suresh Imran Bilal Usman Gurpreet Harjit Nuwan Rohan Venkatesh Subramanian",
                    "Patel Sharma Singh Kaur Gupta Reddy Iyer Krishnamurthy Chatterjee Banerjee Mukherjee Khan Ahmed Hussain Perera Jayawardena Nair Venkataraman Deshpande Bhattacharya Agarwal Rao"),
    "chinese": ("Mei Xiaoling Li Yan Jing Fang Xiuying Hui-Ling Yuet-Wah Qing Ruolan",
                "Wei Jun Ming Zhiqiang Chen-Hao Guang Xiaobo Kwok-Wing Jian Bo Haoran",
                "Wang Li Zhang Chen Liu Huang Zhao Wu Zhou Xu Sun Ng Lam Chan Cheung Ouyang Szeto Tsai Hsieh Zhuang"),
    "korean": ("Ji-woo Minji Soo-jin Hye-kyung Eun-ji Yuna Seo-yeon", "Min-ho Jae-won Sung-min Dong-hyun Hyun-woo Joon Tae-yang", "Kim Lee Park Choi Jung Kang Cho Yoon Jang Lim Shin Hwang Baek Noh"),
    "japanese": ("Yuki Haruka Sakura Keiko Naoko Aiko Misaki Fumiko", "Hiroshi Takeshi Kenji Haruto Daisuke Satoru Ryota Kazuo", "Sato Suzuki Takahashi Tanaka Watanabe Yamamoto Nakamura Kobayashi Matsumoto Ishikawa Fujiwara"),
    "vietnamese": ("Linh Thuy Huong Ngoc Trang Mai Phuong Thi Hoa", "Minh Tuan Hung Quang Duc Phuc Thanh Bao", "Nguyen Tran Le Pham Huynh Vo Dang Bui Do Truong Duong Ngo"),
    "filipino": ("Maricel Jocelyn Rosalinda Imelda Luzviminda Marites Analyn", "Rodrigo Jomar Efren Danilo Renato Ferdinand Jun-Jun", "Dela Cruz|Santos|Reyes|Bautista|Ocampo|Macaraeg|Villanueva|Pangilinan|Magsaysay|Dimaculangan|Catacutan"),
    "arabic": ("Layla Noor Yasmin Maryam Hanan Rania Samira Khadija Amal", "Omar Khalid Yusuf Tariq Hassan Mustafa Walid Abdulrahman Karim Ziad", "Al-Masri|Haddad|Khoury|El-Sayed|Mansour|Abdelrahman|Al Hashimi|Nasser|Bin Rashid|Darwish|Saleh|Shaheen|Abu-Bakr|Qureshi"),
    "persian_turkish": ("Shirin Nasrin Parisa Zahra Elif Ayşe Zeynep Emine Mahsa", "Reza Farhad Dariush Mehdi Mehmet Emre Yusuf Kaveh Babak", "Ahmadi Hosseini Tehrani Farahani Yılmaz Demir Kaya Öztürk Rostami Moradi Çelik"),
    "russian": ("Svetlana Olga Natalia Irina Yekaterina Galina Lyudmila Oksana", "Dmitri Sergei Vladimir Alexei Boris Mikhail Yuri Bohdan", "Ivanov Petrova Sokolov Kuznetsova Volkov Popova Shevchenko Kovalenko Bondarenko Tkachuk Zaytsev"),
    "polish_czech": ("Agnieszka Katarzyna Małgorzata Zofia Jadwiga Lenka Zuzana Jana", "Wojciech Krzysztof Zbigniew Paweł Tomáš Václav Grzegorz Miroslav", "Kowalczyk Wiśniewska Nowak Szczepański Wójcik Dvořák Novotná Svoboda Lewandowski Zając Krzyżanowski"),
    "german_dutch": ("Ingrid Heike Gretchen Ursula Liesel Anneke Saskia Marijke Brunhilde", "Jürgen Klaus Heinrich Wolfgang Pieter Joost Dieter Maarten", "Müller|Schneider|Schröder|van der Berg|van Dijk|de Vries|Hoffmann|von Braun|Zimmermann|ten Broeke|Vandenberg|Kuiper"),
    "nordic": ("Astrid Ingeborg Sigrid Freya Maja Linnéa Kirsten Aino", "Lars Bjørn Sven Anders Søren Magnus Eero Torsten", "Lindqvist Johansson Andersen Nilsson Bergström Rasmussen Sørensen Virtanen Korhonen Haugen"),
    "french": ("Amélie Geneviève Chloé Margaux Solange Mireille Thérèse", "Jean-Pierre Thierry Guillaume Étienne Marcel Benoît Rémy", "Dubois|Lefèvre|Moreau|Beaulieu|Thibodeaux|Fontaine|de la Croix|Charbonneau|Tremblay|Boudreaux|LeBlanc"),
    "italian_greek": ("Giulia Francesca Concetta Rosaria Eleni Despina Athanasia", "Giovanni Salvatore Vito Luca Nikolaos Dimitrios Konstantinos", "Esposito|Ricci|D'Angelo|Della Rosa|DiMarco|Papadopoulos|Georgiou|Karagiannis|Lo Presti|Buonarroti"),
    "hispanic": ("Guadalupe Ximena Maria Luz Esperanza Consuelo Rocío Yesenia Marisol Itzel", "José Luis Miguel Jesús Rigoberto Eusebio Ángel Heriberto Ulises", "García|Rodríguez|Hernández|de la Cruz|Quiñones|Villaseñor|Ortega-Ruiz|Ibarra|Zúñiga|Peña|Del Valle|Garcia Marquez|Sepulveda"),
    "irish_scottish": ("Siobhán Aoife Niamh Bridget Maeve Caitriona Ailsa", "Seamus Declan Padraig Cormac Hamish Angus Lachlan", "O'Brien O'Connor McDonald MacLeod Fitzgerald McGillicuddy Ó-Súilleabháin Sinclair McAllister O'Shaughnessy"),
    "welsh_cornish": ("Ffion Myfanwy Angharad Heledd Carys Nerys Siân Rhiannon Demelza Morwenna Bronwen Catrin", "Gethin Dafydd Rhys Emyr Gwilym Iolo Idris Denzil Jago Piran", "Llewellyn Pritchard Bevan Penhaligon Trevanion Ap-Gwilym Prosser Cadwallader Nankivell Treloar"),
    "balkan_baltic": ("Snežana Dragana Mirela Rūta Ilze Kaja Besarta Anikó Zsófia", "Bogdan Zoran Slavko Andris Juris Priit Agim László Radu", "Jovanović Petrov Popescu Kovács Nagy Hoxha Bērziņš Kazlauskas Tamm Ionescu Stoyanov Horvat"),
    "caribbean_creole": ("Marie-Ange Rose-Laure Shanelle Keisha Latoya Guerline Roseline Taneisha Precious", "Jean-Claude Winston Delroy Wilfrid Devonte Jermaine Tyrell Kervens Deshawn", "Baptiste Toussaint Desir Joseph Pierre-Louis Charles St. Fleur Campbell Grant Marcelin Etienne Ambroise".replace("St. Fleur", "St.Fleur")),
    "pacific": ("Leilani Kalani Sina Mele Ana Teuila", "Keoni Sione Tavita Manaia Ioane", "Kealoha Kamaka Tuimavave Fonoti Taufa'asau Kahananui Leota Tupou"),
    "native": ("Aiyana Winona Kaya Nizhoni", "Chayton Takoda Ahote Wapi", "Begay Yazzie Tsosie Whitehorse Blackbear Two-Moons Benally Standing-Elk"),
}
# Names that are ordinary or medical words.
WORDY_GIVEN_F = "Grace Hope Faith Joy Rose May June April Dawn Summer Autumn Ivy Lily Daisy Violet Hazel Iris Pearl Ruby Amber Crystal Melody Harmony Destiny Trinity Charity Honor Sunny Star Misty Stormy Candy Brandy Sherry Ginger Sage Willow Clementine Olive Poppy Heather Holly Fern Robin Wren Dove Patience Prudence Mercy Constance Felicity Verity Eve Gay Merry Penny Sandy Honey Angel Princess Paris London Brooklyn Dakota Savannah Georgia Virginia Carolina Florence Sydney Chelsea Asia India China Kenya Aspen Augusta Victoria".split()
WORDY_GIVEN_M = "Will Mark Bill Art Frank Rich Drew Chase Chance Grant Pat Rob Nick Jack Dean Earl Duke Prince King Guy Buddy Sonny Rusty Sterling Ford Lane Reed Rod Ray Skip Chip Cliff Glen Heath Forest Stone Clay Rocky Hunter Gunner Mason Carter Tanner Cooper Tucker Parker Porter Miles Gage Max Major Justice Noble Bishop Deacon Angel Jesus Christian Lincoln Jackson Austin Houston Dallas Boston Orlando Santiago Diego Jordan Israel Denver Phoenix Curt Ernest Jay Colt Dale Hank Moe Gene Lance Pierce Sandy".split()
WORDY_SURNAME = "Young Long Short Small Little Strong Hand Foot Head Legg Bone Heart Blood Hurt Payne Paine Ache Cough Cold Burns Cutts Wound Savage Sharp Moody Gay Love Loving Darling Sweet Bitter Rich Poor Price Cash Banks Fields Woods Forest Rivers Lake Brook Pond Hill Mountain Stone Rock Sand Clay Snow Winter Summer Frost Rain Storm Gale Day Knight Noon Weeks March May Monday Friday Church Temple Pope Bishop Priest Abbott Monk King Queen Prince Duke Earl Baron Knight Page Cook Baker Butcher Carpenter Mason Miller Smith Taylor Weaver Fisher Hunter Shepherd Gardener Porter Butler Marshall Sergeant Major Judge Law Case Book Read Reading Wright Pen Story Song Bell Horn Drumm Fox Wolf Bear Lamb Bull Buck Hawk Crow Finch Swan Drake Fish Bass Pike Salmon Crabb Berry Rice Bean Bacon Ham Curry Pepper Mustard Rosemary Bush Reed Thorne Rose Flower Root Branch Twigg Leaf Ash Oakes Birch Green White Black Brown Gray Blue Reddy Silver Gold Golden Stern Stark Bright Swift Quick Best Good Goodman Wise Noble Grand Mann Child Childs Person Self Friend Neighbors Sick Well Ill Weller Doctor Nurse Lord Christian England French Irish Dutch German Holland Ireland London Paris Lyons Lincoln Washington Jefferson Jackson Houston Austin Dallas Parkinson Graves Addison Hodgkin Crohn Wilson Bell Down Turner Marfan Gilbert Alzheimer Huntington Cushing Paget Foley Murphy Allen Barrett Cooper Hunter Parks Hood Wells Fargo Mercer Lane Street Rhodes Way Park Parks House Homes Hall Chambers Barnes Gates Wall Waters Poole Bath Bridges Ford Marsh Moss Heath Moore Dale Glenn Cross Crossman Post Pitt Pitts Bond Trust Power Powers Battle War Gunn Cannon Shields Steele Irons Nichols Penny Dollar Pound Nickel Quarles Ball Games Sport Hardy Tough Early Late Long-Day Outlaw Sinner Angel Saint Pray Grace Hope Joy".split()
NICKS = {"William": "Bill Will Billy", "Robert": "Bob Rob Bobby", "Elizabeth": "Liz Beth Betty", "Margaret": "Peggy Maggie", "James": "Jim Jimmy", "John": "Jack Johnny", "Katherine": "Kate Kathy", "Patricia": "Pat Patty", "Richard": "Rick Dick", "Charles": "Chuck Charlie", "Thomas": "Tom Tommy", "Dorothy": "Dot Dottie", "Susan": "Sue Susie", "Michael": "Mike Mikey", "Joseph": "Joe Joey", "Edward": "Ed Eddie", "Anthony": "Tony", "Barbara": "Barb", "Deborah": "Deb Debbie", "Jennifer": "Jen Jenny", "Samantha": "Sam", "Alexander": "Alex", "Theodore": "Ted Teddy", "Guadalupe": "Lupe", "José": "Pepe", "Francisco": "Paco"}
CREDENTIALS = "MD|M.D.|MD|DO|D.O.|RN|RRT|RNC|CHPN|CCC-SLP|LMHC|CDCES|RDN|PT|OTR/L|CNA|MA|EMT-P|CPNP|WHNP-BC|CCRN|LICSW|MSW|DC|DMD|AuD|NP|PA-C|FNP-BC|PhD|MD, PhD|MBBS|DPM|DDS|PharmD|LCSW|PT, DPT|RN, BSN|MD, FACS|ARNP|CRNA|LPN|MSW|RRT|OD|FRCS|CNM".split("|")
RELATIVES = {"F": "wife mother daughter sister aunt grandmother niece girlfriend partner mom mum granddaughter daughter-in-law cousin friend caregiver fiancée stepmother sister-in-law neighbor".split(),
             "M": "husband father son brother uncle grandfather nephew boyfriend partner dad grandson son-in-law cousin friend caregiver fiancé stepfather brother-in-law neighbor".split()}
STREET_TYPES = "Street St St. Avenue Ave Ave. Road Rd Rd. Drive Dr Lane Ln Court Ct Boulevard Blvd Way Place Pl Terrace Circle Cir Parkway Pkwy Highway Trail Loop Square Row Crescent Close".split()
EMPLOYER_TAILS = "Inc.|LLC|Corp.|Logistics|Foods|Construction|Plumbing|Electric|Trucking|Motors|Insurance|Bank|Credit Union|Roofing|Manufacturing|Steel|Farms|Dairy|Bakery|Brewing Company|Airlines|Hardware|Grocery|Realty|Law Group|& Sons|Landscaping|Systems|Technologies|Mining|Paper Mill|Packing Plant|School District|County Sheriff's Office|Fire Department|Public Library|Transit Authority|Textiles|Cleaners|Auto Body|Salon|Restaurant|Cafe|Fitness|Property Management".split("|")
CLINIC_TAILS = "Family Medicine|Medical Group|Primary Care|Pediatrics|Internal Medicine|Cardiology|Orthopedics|Women's Health|Clinic|Health Center|Dermatology|Surgical Associates|Medical Associates|Urgent Care|Eye Center|Dental|Physical Therapy|Surgery|Medical Practice|Community Health Centre|Neurology|ENT|Oncology Associates|Pain Clinic|Behavioral Health|GI Associates|Walk-In Clinic|Medical Centre|Health".split("|")
HOSPITAL_TAILS = "Hospital|Medical Center|Regional Medical Center|General Hospital|Memorial Hospital|Community Hospital|Children's Hospital|University Hospital|Infirmary|General|Memorial|Regional|Health System|VA Medical Center|Baptist Hospital|Methodist|Presbyterian Hospital|Hosp|Med Ctr|Royal Infirmary|District Hospital|Rehabilitation Hospital|Surgical Hospital|Heart Institute|Cancer Center".split("|")
NURSING_TAILS = "Nursing Home|Manor|Care Center|Rehab|Assisted Living|Nursing and Rehabilitation|Health and Rehab|Senior Living|Villa|Skilled Nursing Facility|Care Home|Gardens|Place|Residence|SNF|Memory Care".split("|")
PHARMACIES = "Pharmacy|Drugs|Drug Store|Apothecary|Chemist|Rx|Compounding Pharmacy".split("|")
SCHOOL_TAILS = "Elementary School|Elementary|Middle School|High School|High|Academy|Community College|University|College|Preschool|Primary School|State University|Day Care|Charter School|Montessori".split("|")
CHURCH_TAILS = "Baptist Church|Methodist Church|Lutheran|Catholic Church|Presbyterian|Church of God|AME Church|Temple|Mosque|Chapel|Parish|Cathedral|Synagogue|Fellowship".split("|")
PROFESSIONS = "welder|school bus driver|retired postal worker|elementary school teacher|dairy farmer|long-haul trucker|nurse's aide|accountant|barista|electrician|plumber|firefighter|police officer|line cook|hairdresser|paralegal|software engineer|janitor|carpenter|roofer|librarian|bank teller|coal miner|crane operator|dental hygienist|flight attendant|forklift operator|graphic designer|housekeeper|insurance adjuster|jeweler|landscaper|machinist|mail carrier|mechanic|musician|night security guard|painter|pastor|photographer|professor of history|realtor|receptionist|retired machinist|sailor|seamstress|social worker|stockbroker|taxi driver|tailor|truck driver|veterinarian|waitress|warehouse worker|retired engineer|homemaker|physicist|bartender|chef|lawyer|judge|opera singer|fisherman|florist|data analyst|construction foreman|farmhand|teacher's assistant|beekeeper|glassblower".split("|")
MONTHS = "January February March April May June July August September October November December".split()
MON = "Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec".split()
ORDINALS = "first second third fourth fifth sixth seventh eighth ninth tenth eleventh twelfth thirteenth fourteenth fifteenth sixteenth seventeenth eighteenth nineteenth twentieth twenty-first twenty-second twenty-third twenty-fourth twenty-fifth twenty-sixth twenty-seventh twenty-eighth twenty-ninth thirtieth thirty-first".split()
ONES = "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen eighteen nineteen".split()
TENS = "x x twenty thirty forty fifty sixty seventy eighty ninety".split()
DIGITS = "zero one two three four five six seven eight nine".split()
STATES = "AL AK AZ AR CA CO CT DE FL GA HI ID IL IN IA KS KY LA ME MD MA MI MN MS MO MT NE NV NH NJ NM NY NC ND OH OK OR PA RI SC SD TN TX UT VT VA WA WV WI WY".split()
STATE_NAMES = "Alabama Alaska Arizona Arkansas California Colorado Connecticut Delaware Florida Georgia Hawaii Idaho Illinois Indiana Iowa Kansas Kentucky Louisiana Maine Maryland Massachusetts Michigan Minnesota Mississippi Missouri Montana Nebraska Nevada Ohio Oklahoma Oregon Pennsylvania Tennessee Texas Utah Vermont Virginia Washington Wisconsin Wyoming".split() + ["New York", "New Jersey", "North Carolina", "South Dakota", "West Virginia", "New Mexico"]
UK_TOWNS = "Leeds Bradford Swindon Croydon Wigan Stockport Slough Luton Derby Hull Preston Crewe Rugby Barnsley Dudley Oldham Bolton Exeter Truro Perth Dundee Swansea Newport Bangor Derry Lisburn Camden Hackney Islington Lewisham Peckham Brixton Tooting Ealing Harrow Watford".split()


def words_of(number):
    """46 as `forty-six`, 0 to 999."""
    if number < 20:
        return ONES[number]
    if number < 100:
        return TENS[number // 10] + ("-" + ONES[number % 10] if number % 10 else "")
    return ONES[number // 100] + " hundred" + (" " + words_of(number % 100) if number % 100 else "")


class Lists:
    """What is drawn from, read once from the folder of public lists."""

    def __init__(self, folder: Path):
        def rows(name, mark="\t"):
            with open(folder / name, encoding="utf-8-sig", errors="replace", newline="") as f:
                return list(csv.reader(f, delimiter=mark, quoting=csv.QUOTE_NONE if mark == "\t" else csv.QUOTE_MINIMAL))

        surnames = {}
        for name in ("us_census_surnames_2010.tsv", "us_census_surnames_2020.tsv"):
            for row in rows(name)[1:]:
                if len(row[0]) > 1 and row[0].isalpha():
                    surnames[row[0].title()] = max(surnames.get(row[0].title(), 0), int(row[1] or 0))
        self.surnames = sorted(surnames, key=lambda n: (-surnames[n], n))
        given = {"F": {}, "M": {}}
        for row in rows("us_ssa_first_names.tsv")[1:]:
            name, female, male = row[0], int(row[1] or 0), int(row[2] or 0)
            sex, count = ("F", female) if female >= male else ("M", male)
            if count >= 40 and name.isalpha() and len(name) > 1:
                given[sex][name.title()] = count
        self.given = {s: sorted(g, key=lambda n: (-g[n], n)) for s, g in given.items()}
        self.towns, self.small_towns, self.counties = [], [], []
        places = {}
        for row in rows("us_cities_states_counties.csv", "|")[1:]:
            if len(row) >= 4:
                places[(row[0], row[1], row[2], row[3].title())] = True
        self.us = sorted(places)
        geo = [r for r in rows("geonames_cities1000.tsv")[1:] if len(r) == 4]
        self.big = [r[0] for r in geo if r[1] == "US" and int(r[3] or 0) > 40000]
        self.world = [r[0] for r in geo if r[1] != "US" and int(r[3] or 0) > 150000 and r[0].isascii()]
        self.british = [r[0] for r in geo if r[1] in ("GB", "IE", "AU", "CA", "NZ")] + UK_TOWNS
        self.villages = [r[0] for r in geo if r[1] == "US" and int(r[3] or 0) < 2500]
        self.hospitals = []
        for name in ("us_facilities_hospitals.tsv", "us_facilities_va_facilities.tsv"):
            self.hospitals += [tidy(r[0]) for r in rows(name)[1:] if r and 6 < len(r[0]) < 60]
        self.nursing = [tidy(r[0]) for n in ("us_facilities_nursing.tsv", "us_facilities_hospice.tsv") for r in rows(n)[1:] if r and 6 < len(r[0]) < 50]
        self.clinics = [tidy(r[0]) for n in ("us_facilities_urgent_care_facilities.tsv", "us_facilities_dialysis.tsv") for r in rows(n)[1:] if r and 6 < len(r[0]) < 50]
        self.universities = [r[0] for r in rows("universities.tsv")[1:] if len(r) == 2 and r[1] in ("United States", "United Kingdom", "Canada", "Australia")]
        self.addresses = [tidy(r[1]) for r in rows("us_facilities_hospitals.tsv")[1:] if len(r) > 2 and r[1][:1].isdigit()]
        self.jobs = sorted({turn(r[0]) for r in rows("occupations_uk_ons.csv", ",") if r and len(r[0]) < 30})
        drugs = set()
        for row in rows("drug_names_variants.tsv"):
            for name in row[:2]:
                if re.fullmatch("[A-Za-z][a-z]{4,13}", name):
                    drugs.add(name.capitalize())
        self.drugs = sorted(drugs)
        eponyms = set()
        for row in rows("medical_eponyms_allofus.csv", ",")[1:]:
            for name in row[1].split("|") if len(row) > 1 else []:
                name = re.sub("'s?$", "", name.strip())
                if re.fullmatch("[A-Z][A-Za-zéèöüäñ' -]{3,28}", name):
                    eponyms.add(name)
        self.eponyms = sorted(eponyms)
        self.chains = {"surname": Chain(self.surnames[2000:60000:7]), "F": Chain(self.given["F"][:12000:3]), "M": Chain(self.given["M"][:9000:3])}


def turn(job):
    """`Accountant, bank` as `bank accountant`."""
    head, _, tail = job.partition(", ")
    return (tail + " " + head).strip().lower()


def tidy(name):
    """`ELMWOOD CARE CENTER, LLC` as it would be written in a note."""
    name = re.sub(r"[,]?\s+(LLC|INC\.?|L\.L\.C\.|LP|CORP\.?)$", "", name.strip(), flags=re.I)
    name = re.sub(r"\(.*?\)", "", name).strip(" -,")
    if name.isupper():
        name = " ".join(w if w in ("VA", "NE", "SW", "NW", "SE", "US") else (w.capitalize() if w not in ("OF", "AND", "AT", "THE") else w.lower()) for w in re.sub(r"\s+", " ", name).split(" "))
        name = name[:1].upper() + name[1:]
    return name


class Chain:
    """Letters that follow three letters: spells words that look like the ones that it read."""

    def __init__(self, names):
        self.next = {}
        for name in names:
            padded = "^^^" + name.lower() + "$"
            for i in range(3, len(padded)):
                self.next.setdefault(padded[i - 3:i], []).append(padded[i])

    def spell(self, rng):
        for _ in range(30):
            out = "^^^"
            while not out.endswith("$") and len(out) < 16:
                out += rng.choice(self.next.get(out[-3:], ["$"]))
            word = out.strip("^$")
            if 3 <= len(word) <= 12:
                return word.capitalize()
        return "Oonagh"


def tail_index(rng, size, power=2.2):
    """An index that prefers the beginning of a list sorted by frequency, with a long tail."""
    return min(size - 1, int(size * rng.random() ** power))


class Person:
    """One made-up person."""

    def __init__(self, rng: random.Random, lists: Lists, sex=None):
        self.rng = rng
        self.sex = sex or rng.choice("FM")
        kind = rng.random()
        if kind < 0.30:
            women, men, family = CULTURES[rng.choice(sorted(CULTURES))]
            given = (women if self.sex == "F" else men).split()
            family = family.split("|") if "|" in family else family.split()
            self.first, self.last = rng.choice(given), rng.choice(family)
            if rng.random() < 0.3:
                self.last = lists.surnames[tail_index(rng, len(lists.surnames), 1.2)]
        else:
            names = lists.given[self.sex]
            self.first = names[tail_index(rng, len(names), 3.2)]
            self.last = lists.surnames[tail_index(rng, len(lists.surnames), 3.0)]
            if rng.random() < 0.12:
                self.first = rng.choice(WORDY_GIVEN_F if self.sex == "F" else WORDY_GIVEN_M)
            if rng.random() < 0.13:
                self.last = rng.choice(WORDY_SURNAME)
            if rng.random() < 0.12:
                self.first = lists.chains[self.sex].spell(rng)
            if rng.random() < 0.15:
                self.last = lists.chains["surname"].spell(rng)
            if rng.random() < 0.05:
                other = lists.surnames[tail_index(rng, len(lists.surnames), 3.0)]
                self.last = self.last + rng.choice(["-", "-", " "]) + other
            if rng.random() < 0.03:
                self.last = rng.choice(["Mc", "Mac", "De", "Van ", "O'", "St. ", "La", "Le", "Di", "Von ", "Del "]) + self.last
        self.middle = lists.given[self.sex][tail_index(rng, 3000, 2.0)]
        self.nick = rng.choice(NICKS[self.first].split()) if self.first in NICKS else self.first[:rng.choice([3, 4])] if len(self.first) > 5 and rng.random() < 0.3 and self.first.isalpha() else self.first
        self.title = rng.choice(["Mr.", "Mr.", "Mr", "Mister"]) if self.sex == "M" else rng.choice(["Ms.", "Mrs.", "Ms", "Mrs", "Miss", "Ms."])
        self.relative = rng.choice(RELATIVES[self.sex])
        self.credential = rng.choice(CREDENTIALS)
        self.doctor = rng.choice(["Dr. ", "Dr. ", "Dr. ", "Dr ", "Doctor ", "Dr. ", "DR. "])
        self.middle_style = rng.random()

    def full(self):
        m = self.middle_style
        middle = f" {self.middle[0]}." if m < 0.15 else f" {self.middle[0]}" if m < 0.2 else f" {self.middle}" if m < 0.27 else ""
        tail = self.rng.choice([" Jr.", ", Jr.", " III", " Sr."]) if self.sex == "M" and self.rng.random() < 0.02 else ""
        if self.nick != self.first and self.rng.random() < 0.04:
            middle = f' "{self.nick}"' if self.rng.random() < 0.6 else f" ({self.nick})"
        return f"{self.first}{middle} {self.last}{tail}"

    def mention(self):
        r = self.rng.random()
        if r < 0.5:
            return self.full()
        if r < 0.65:
            return self.first
        if r < 0.8:
            return self.last
        if r < 0.9:
            return f"{self.first[0]}. {self.last}"
        return f"{self.first} {self.last[0]}."

    def last_first(self):
        m = self.rng.random()
        middle = f" {self.middle[0]}" if m < 0.3 else f" {self.middle[0]}." if m < 0.4 else f" {self.middle}" if m < 0.5 else ""
        comma = self.rng.choice([", ", ", ", ", ", ",", "^"])
        if comma == "^":
            middle = middle.replace(" ", "^")
        last = self.last.upper() if self.rng.random() < 0.25 else self.last
        return f"{last}{comma}{self.first}{middle}"

    def initials(self):
        return self.rng.choice([f"{self.first[0]}.{self.last[0]}.", f"{self.first[0]}{self.last[0]}", f"{self.first[0]}. {self.last[0]}.", f"{self.first[0]}.{self.middle[0]}.{self.last[0]}."])

    def spelled(self):
        mark = self.rng.choice(["-", " ", "-", ". ", ", "])
        letters = [c for c in self.last if c.isalpha()]
        letters = [c.upper() for c in letters] if self.rng.random() < 0.8 else [c.lower() for c in letters]
        return mark.join(letters)


class Values:
    """Dates, numbers and places."""

    def __init__(self, rng: random.Random, lists: Lists):
        self.rng, self.lists = rng, lists
        self.date_style = rng.randrange(40)
        self.british = rng.random() < 0.15

    # --- dates
    def day(self, old=False):
        r = self.rng
        year = r.randint(1928, 2020) if old else r.choice([r.randint(2015, 2026), r.randint(1995, 2026)])
        return year, r.randint(1, 12), r.randint(1, 28)

    def date(self, old=False, style=None):
        r = self.rng
        y, m, d = self.day(old)
        style = style if style is not None else self.date_style if r.random() < 0.6 else r.randrange(40)
        if self.british and style < 12:
            return r.choice([f"{d:02}/{m:02}/{y}", f"{d}/{m}/{y % 100:02}", f"{d:02}.{m:02}.{y}", f"{d:02}-{m:02}-{y}"])
        th = ORDINALS[d - 1]
        suffix = "th" if 10 < d < 14 else {1: "st", 2: "nd", 3: "rd"}.get(d % 10, "th")
        forms = [
            f"{m:02}/{d:02}/{y}", f"{m}/{d}/{y}", f"{m}/{d}/{y % 100:02}", f"{m:02}/{d:02}/{y % 100:02}", f"{m:02}-{d:02}-{y}", f"{m}-{d}-{y % 100:02}",
            f"{y}-{m:02}-{d:02}", f"{m:02}.{d:02}.{y}", f"{m}.{d}.{y % 100:02}", f"{y}/{m:02}/{d:02}", f"{m:02}/{d:02}/{y}", f"{m}/{d}/{y}",
            f"{MONTHS[m - 1]} {d}, {y}", f"{MONTHS[m - 1]} {d}{suffix}, {y}", f"{MON[m - 1]} {d}, {y}", f"{MON[m - 1]}. {d}, {y}", f"{d} {MONTHS[m - 1]} {y}", f"{d} {MON[m - 1]} {y}",
            f"{d:02}-{MON[m - 1]}-{y}", f"{d:02}{MON[m - 1].upper()}{y}", f"{d:02}-{MON[m - 1].upper()}-{y % 100:02}", f"{MONTHS[m - 1]} {d} {y}", f"the {d}{suffix} of {MONTHS[m - 1]} {y}", f"{d}{suffix} {MONTHS[m - 1]} {y}",
            f"{MONTHS[m - 1]} {d}{suffix}", f"{MONTHS[m - 1]} {d}", f"{MON[m - 1]} {d}", f"{d} {MONTHS[m - 1]}", f"{MON[m - 1]}-{d}-{y}", f"{MONTHS[m - 1]} {y}", f"{MON[m - 1]} {y}", f"{m:02}/{y}",
            f"{m}/{d}", f"the {th} of {MONTHS[m - 1]}", f"{MONTHS[m - 1]} the {d}{suffix}", f"{y}{m:02}{d:02}" if False else f"{m:02}/{d:02}/{y}", f"{MONTHS[m - 1][:3].lower()} {d} {y}", f"{d}/{MON[m - 1]}/{y}", f"{MON[m - 1]} '{y % 100:02}", f"{MONTHS[m - 1]}, {y}",
        ]
        return forms[style % len(forms)]

    def date_short(self):
        y, m, d = self.day()
        return self.rng.choice([f"{m}/{d}", f"{m:02}/{d:02}", f"{m}-{d}", f"{MON[m - 1]} {d}", f"{m}/{d}/{y % 100:02}", f"{d} {MON[m - 1]}"])

    def year_spoken(self, y):
        r = self.rng
        if y < 2000:
            return "nineteen " + (words_of(y % 100).replace("-", r.choice([" ", "-"])) if y % 100 > 9 else "oh " + ONES[y % 100])
        short = ("oh " if r.random() < 0.7 else "O ") + ONES[y % 100] if y % 100 < 10 else words_of(y % 100)
        if y < 2010:
            return r.choice(["two thousand" + (r.choice([" ", " and "]) + ONES[y % 100] if y % 100 else ""), short])
        return r.choice(["twenty ", "two thousand and ", "two thousand ", ""]) + words_of(y % 100)

    def date_month(self):
        y, m, _ = self.day()
        if self.rng.random() < 0.2:
            return MONTHS[m - 1] + self.rng.choice([" of ", " ", " in "]) + self.year_spoken(y)
        return self.rng.choice([f"{MONTHS[m - 1]} {y}", f"{MONTHS[m - 1]} of {y}", f"{MON[m - 1]} {y}", f"{m:02}/{y}", f"{m}/{y % 100:02}", f"{MONTHS[m - 1]}"])

    def date_iso(self):
        y, m, d = self.day()
        r = self.rng
        t = f"{r.randrange(24):02}:{r.randrange(60):02}:{r.randrange(60):02}"
        return r.choice([f"{y}-{m:02}-{d:02}", f"{y}-{m:02}-{d:02}", f"{y}-{m:02}-{d:02}T{t}Z", f"{y}-{m:02}-{d:02} {t}"])

    def date_long(self):
        return self.date(style=self.rng.choice([12, 13, 16, 22, 23]))

    def date_spoken(self):
        r = self.rng
        y, m, d = self.day(old=r.random() < 0.6)
        month, th = MONTHS[m - 1], ORDINALS[d - 1].replace("-", r.choice(["-", " "]))
        year = self.year_spoken(y)
        if r.random() < 0.4:
            year = str(y)
        suffix = "th" if 10 < d < 14 else {1: "st", 2: "nd", 3: "rd"}.get(d % 10, "th")
        if r.random() < 0.22:
            short = self.year_spoken(y).replace("nineteen ", "")
            return r.choice([f"the {d}{suffix}", f"the {th}", f"the {d}{suffix}", f"{d}{suffix} of the {ORDINALS[m - 1]}, {short}", f"{th} of the {ORDINALS[m - 1]} {short}", f"the {th} of {month} {short}", month])
        return r.choice([f"{month} {th} {year}", f"{month} {th} of {year}", f"{month} {th}, {year}", f"{month} {words_of(d)} {year}", f"{month} the {th} {year}", f"the {th} of {month} {year}", f"{th} of {month}, {year}", f"{month} {th}", f"the {th} of {month}", f"{words_of(m)} {words_of(d)} {words_of(y % 100)}", f"{month} {words_of(d)}"])

    # --- ages, reach
    def age(self, over=False):
        r = self.rng
        return str(r.randint(90, 103)) if over else str(r.choice([r.randint(1, 89), r.randint(18, 89), r.randint(40, 89)]))

    def digits(self, n):
        return "".join(self.rng.choice("0123456789") for _ in range(n))

    def phone(self):
        r = self.rng
        if self.british:
            return r.choice([f"07{self.digits(3)} {self.digits(6)}", f"0{r.randint(113, 191)} {self.digits(3)} {self.digits(4)}", f"+44 7{self.digits(3)} {self.digits(6)}", f"020 7946 0{self.digits(3)}"])
        a, b, c = f"{r.randint(201, 989)}", r.choice(["555", f"{r.randint(200, 999)}"]), self.digits(4)
        return r.choice([f"({a}) {b}-{c}", f"{a}-{b}-{c}", f"{a}.{b}.{c}", f"{a} {b} {c}", f"({a}){b}-{c}", f"1-{a}-{b}-{c}", f"+1 {a} {b} {c}", f"{a}{b}{c}", f"{b}-{c}", f"{a}-{b}-{c} ext {self.digits(3)}", f"{a}/{b}-{c}", f"x{self.digits(4)}" if False else f"{a}-{b}-{c} x{self.digits(4)}"])

    def spoken_digits(self, digits):
        r = self.rng
        return " ".join(("oh" if r.random() < 0.5 else "zero") if c == "0" else DIGITS[int(c)] for c in digits)

    def code(self, kind):
        r = self.rng
        n = self.digits
        upper = lambda k: "".join(r.choice("ABCDEFGHJKLMNPRSTVWXYZ") for _ in range(k))
        any_ = lambda k: "".join(r.choice("ABCDEFGHJKLMNPRSTUVWXYZ0123456789") for _ in range(k))
        forms = {
            "mrn": [n(6), n(7), n(8), n(7), f"{n(3)}-{n(2)}-{n(2)}", f"{n(2)}-{n(2)}-{n(2)}", f"M{n(7)}", f"{upper(2)}{n(6)}", f"{upper(3)}-{n(6)}", f"{n(3)} {n(3)} {n(4)}", f"MRN{n(6)}", f"{n(6)}-{n(1)}", f"00{n(6)}", f"{upper(1)}{n(2)}-{n(4)}", f"H{n(3)}-{n(5)}"],
            "ssn": [f"{r.randint(100, 665)}-{r.randint(10, 99)}-{r.randint(1000, 9999)}"] * 3 + [f"{r.randint(100, 665)} {r.randint(10, 99)} {r.randint(1000, 9999)}", f"{r.randint(100, 665)}{r.randint(10, 99)}{r.randint(1000, 9999)}", f"XXX-XX-{n(4)}"],
            "hpid": [f"{upper(3)}{n(9)}", f"W{n(9)}", f"{n(9)}{upper(1)}", f"{n(1)}{upper(2)}{n(1)}-{upper(2)}{n(1)}-{upper(2)}{n(2)}", f"{upper(2)}-{n(8)}", n(10), f"XYZ{n(8)}", f"{upper(4)}{n(6)}-01"],
            "acct": [n(8), n(10), n(12), f"{n(4)}-{n(4)}-{n(4)}", f"A{n(8)}", f"ACCT-{n(6)}", f"V{n(9)}", f"{n(5)}-{n(3)}", f"****{n(4)}"],
            "lic": [f"{upper(1)}{n(7)}", f"{n(3)}-{n(3)}-{n(3)}", f"{upper(2)}{n(6)}", f"D{n(3)}-{n(4)}-{n(4)}", n(8), f"MD{n(5)}", f"RN-{n(6)}"],
            "npi": [f"1{n(9)}"], "dea": [f"{upper(2)}{n(7)}"],
            "vin": [f"{r.choice('12345JKWSVZ')}{any_(2)}{any_(5)}{any_(1)}{any_(1)}{any_(1)}{n(6)}"],
            "plate": [f"{upper(3)} {n(4)}", f"{upper(3)}-{n(4)}", f"{n(1)}{upper(3)}{n(3)}", f"{upper(3)}{n(3)}", f"{upper(2)}{n(2)} {upper(3)}", f"{n(3)} {upper(3)}"],
            "dev": [f"SN{n(8)}", f"{upper(3)}{n(6)}{upper(1)}", f"{n(4)}-{n(6)}", f"SN-{any_(8)}", f"(01){n(14)}(21){any_(8)}", f"PM{n(6)}", any_(10)],
            "acc": [f"S{n(2)}-{n(5)}", f"{n(2)}-{upper(1)}-{n(5)}", f"ACC{n(8)}", f"{upper(2)}-{n(2)}-{n(6)}", n(8), f"H{n(2)}-{n(4)}", f"SP-{n(4)}-{n(5)}"],
            "id": [f"{upper(2)}-{n(5)}", n(7), f"{upper(3)}{n(5)}", f"CLM-{n(8)}", f"{n(4)}-{any_(4)}-{n(3)}", f"#{n(6)}", f"{any_(4)}-{any_(4)}-{any_(4)}", f"CASE{n(6)}", f"REF{n(7)}", f"{n(9)}", f"PT-{n(5)}", f"E{n(7)}"],
        }
        return r.choice(forms[kind])

    # --- places
    def us(self):
        return self.rng.choice(self.lists.us)

    def city(self):
        r, lists = self.rng, self.lists
        k = r.random()
        if self.british:
            return r.choice(lists.british)
        if k < 0.45:
            return r.choice(lists.big)
        if k < 0.85:
            return self.us()[0]
        return r.choice(lists.world)

    def street(self):
        r, lists = self.rng, self.lists
        k = r.random()
        if k < 0.2:
            return r.choice(lists.addresses)
        number = r.choice([r.randint(1, 99), r.randint(100, 9999), r.randint(1000, 19999)])
        name = r.choice([lists.surnames[tail_index(r, 20000)], r.choice(WORDY_SURNAME), r.choice("Main Oak Elm Maple Cedar Pine Park Lake Hill View Church High Mill River Spring Ridge Washington Lincoln Sunset Meadow".split()), f"{r.randint(1, 120)}{r.choice(['th', 'th', 'st', 'nd', 'rd'])}", self.us()[0]])
        direction = r.choice(["", "", "", "", "N ", "S. ", "West ", "SE "])
        tail = r.choice(["", "", "", "", f", Apt {r.randint(1, 40)}", f" #{r.randint(1, 400)}", f", Unit {r.randint(1, 30)}{r.choice('ABC')}", f" Apt. {r.randint(1, 20)}{r.choice('ABCD')}", f", Suite {r.randint(100, 900)}"])
        if self.british:
            return f"{r.choice(['', 'Flat %d, ' % r.randint(1, 30)])}{r.randint(1, 250)} {name} {r.choice(['Road', 'Street', 'Close', 'Lane', 'Avenue', 'Gardens', 'Crescent', 'Grove', 'Mews', 'Terrace'])}"
        if r.random() < 0.04:
            return r.choice([f"PO Box {r.randint(1, 9999)}", f"P.O. Box {r.randint(1, 9999)}", f"RR {r.randint(1, 9)} Box {r.randint(1, 400)}", f"{number} County Road {r.randint(1, 400)}", f"{number} US Highway {r.randint(1, 99)}"])
        return f"{number} {direction}{name} {r.choice(STREET_TYPES)}{tail}"

    def zip(self):
        r = self.rng
        if self.british:
            up = lambda k: "".join(r.choice("ABCDEFGHJKLMNPRSTUVWY") for _ in range(k))
            return f"{up(r.choice([1, 2]))}{r.randint(1, 29)} {r.randint(1, 9)}{up(2)}"
        z = f"{r.randint(501, 99950):05}"
        return z + (f"-{self.digits(4)}" if r.random() < 0.15 else "")

    def citystate(self):
        r = self.rng
        city, short, long, _ = self.us()
        if self.british:
            return f"{r.choice(self.lists.british)}, {r.choice(['Kent', 'West Yorkshire', 'Surrey', 'Devon', 'UK', 'Essex', 'County Antrim'])}"
        return r.choice([f"{city}, {short}", f"{city}, {long}", f"{city} {short}", f"{city}, {short}"])

    def address(self):
        r = self.rng
        city, short, long, _ = self.us()
        if self.british:
            return f"{self.street()}, {r.choice(self.lists.british)}, {self.zip()}"
        return f"{self.street()}{r.choice([', ', ', ', ' '])}{city}{r.choice([', ', ' '])}{r.choice([short, short, long])} {self.zip()}"

    def county(self):
        return self.us()[3] + self.rng.choice([" County", " County", " county", " Co.", " Parish"])

    def stem(self):
        r, lists = self.rng, self.lists
        return r.choice([self.us()[0], lists.surnames[tail_index(r, 15000)], "St. " + r.choice("Mary Luke Joseph Vincent Francis Anthony Jude Agnes Thomas Elizabeth".split()) + r.choice(["", "'s"]), r.choice("Mercy Providence Sacred_Heart Good_Samaritan Riverside Lakeside Northside Westview Summit Valley Harbor Cedar Evergreen Unity Grace Trinity Pinnacle Sunrise Oakwood Bayview Highland Piedmont Cascade Prairie Coastal Metro Tri-County".split()).replace("_", " "), r.choice(lists.big), r.choice(WORDY_SURNAME)])

    def hospital(self):
        r = self.rng
        k = r.random()
        if k < 0.4:
            return r.choice(self.lists.hospitals)
        if k < 0.5:
            return r.choice(["St. ", "Saint ", "St ", "Mount ", "Mt. "]) + r.choice("Mary's|Luke's|Joseph's|Vincent's|Jude's|Sinai|Francis|Anthony|Agnes|Carmel|Elizabeth's|Zion|Olivet|Raphael's".split("|"))
        return f"{self.stem()} {r.choice(HOSPITAL_TAILS)}"

    def org(self, tails, listed=()):
        r = self.rng
        if listed and r.random() < 0.35:
            return r.choice(listed)
        return f"{self.stem()} {r.choice(tails)}"

    def employer(self):
        r = self.rng
        k = r.random()
        if k < 0.15:
            return r.choice("Walmart|Amazon|Target|Costco|Home Depot|UPS|FedEx|Boeing|Ford|General Motors|Tyson|John Deere|Kroger|Starbucks|McDonald's|Lockheed Martin|Delta|Tesco|Sainsbury's|Royal Mail|Verizon|Caterpillar".split("|"))
        return self.org(EMPLOYER_TAILS)

    def business(self):
        r = self.rng
        if r.random() < 0.4:
            return r.choice("Costco|Trader Joe's|Aldi|Lidl|Tesco|Walmart|Target|Kroger|Publix|H-E-B|Safeway|Wegmans|Home Depot|Lowe's|Denny's|IHOP|Chipotle|Panera|Dairy Queen|Wendy's|Applebee's|Olive Garden|Waffle House|Planet Fitness|LA Fitness|the YMCA|Starbucks|Dunkin'|Macy's|Best Buy|Currys|Boots|Argos|Greggs|Asda|Morrisons|Marks and Spencer|Woolworths|Bunnings|Tim Hortons|Canadian Tire|State Farm|Geico|Wells Fargo|Chase Bank|UPS|FedEx|Amazon|Apple|Microsoft|Petco|Great Clips|Jiffy Lube|AutoZone|Chuck E. Cheese|Peet's|Domino's|Pizza Hut|Sephora|Nordstrom|Goodwill|Meijer|Hy-Vee|Food Lion|Giant Eagle".split("|"))
        owner = r.choice([self.lists.surnames[tail_index(r, 9000)], self.lists.given["F"][tail_index(r, 600)], self.lists.given["M"][tail_index(r, 600)], r.choice(WORDY_SURNAME)])
        tail = r.choice("Diner|Deli|Bakery|Bar|Grill|Pizza|Tavern|Garage|Auto|Tire|Nails|Salon|Barber Shop|Gym|Dance Studio|Daycare|Nursery|Bridal|Florist|Hardware|Books|Cleaners|Farm|Marina|Golf Club|Bowling|Truck Stop|Trailer Park|Motel|Inn|Lounge|Chippy|Caf|Cafe|Studio|Yoga|Pharmacy|Law|Accounting|Title".split("|"))
        return r.choice([f"{owner}'s", f"{owner}'s {tail}", f"{owner}'s {tail}", f"{owner} {tail}", f"{owner} and {r.choice(WORDY_SURNAME)}", f"{owner} & Sons", f"the {self.us()[0]} {tail}", f"{r.choice('Golden Blue Red Silver Happy Sunny Little Green Royal Lucky Tiny Big'.split())} {r.choice('Dragon Bamboo Heron Acorns Toes Stars Oaks Palace Lion Rose Anchor Garden Wok Steps Owl Barn Door'.split())}"])

    def neighbourhood(self):
        r = self.rng
        name = r.choice([self.us()[0], self.lists.surnames[tail_index(r, 9000)], r.choice(WORDY_SURNAME), r.choice("North South East West Old Upper Lower".split()) + " " + r.choice(WORDY_SURNAME)])
        return r.choice([f"{name} {t}" for t in "Heights|Park|Hills|Village|Mall|Beach|Lake|Point|Estates|Apartments|Gardens|Square|Bridge|Station|Marina|Creek|Ridge|Plaza|Terrace|Landing|Green|Commons|Trailer Park|Campground|Arena|Stadium|Airport|Reservoir".split("|")])

    def profession(self):
        r = self.rng
        return r.choice(PROFESSIONS) if r.random() < 0.75 else r.choice(self.lists.jobs)
