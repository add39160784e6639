//! Words that say something of their neighbours, by whole word, never by substring.

/// `Dr`, `Mrs`: a name follows.
pub(crate) const TITLE: u64 = 1;
/// `MD`, `RN`: a name came before.
pub(crate) const CREDENTIAL: u64 = 1 << 1;
/// `Jr`, `III`: the end of a name.
pub(crate) const SUFFIX: u64 = 1 << 2;
/// `patient`, `daughter`: a name may follow.
pub(crate) const PERSON: u64 = 1 << 3;
/// `by`, `named`, `dear`: a name is likely to follow.
pub(crate) const BY: u64 = 1 << 4;
/// `with`, `for`: a name may follow.
pub(crate) const WITH: u64 = 1 << 5;
/// `reports`, `denies`: a person may come before.
pub(crate) const VERB: u64 = 1 << 6;
/// `January`, `Sept`.
pub(crate) const MONTH: u64 = 1 << 7;
/// A state of the United States, its name or its code.
pub(crate) const STATE: u64 = 1 << 8;
/// `Street`, `Ave`.
pub(crate) const STREET: u64 = 1 << 9;
/// `Hospital`, `Clinic`: the end of a facility's name.
pub(crate) const FACILITY: u64 = 1 << 10;
/// Words that do not make a facility's name particular.
pub(crate) const GENERIC: u64 = 1 << 11;
/// `disease`, `sign`, `catheter`: the name before it is not a person here.
pub(crate) const EPONYM_TAIL: u64 = 1 << 12;
/// `van`, `de la`: inside a surname.
pub(crate) const PARTICLE: u64 = 1 << 13;
/// `in`, `near`, `from`: a place may follow.
pub(crate) const PLACE: u64 = 1 << 14;
/// `is`, `number`, `no`: between a label and its value.
pub(crate) const CONNECT: u64 = 1 << 15;
/// `number`, `no`, `id`: the label before it is that of a number.
pub(crate) const NUMBER: u64 = 1 << 16;
/// `mg`, `mmHg`: the number before it is a measure.
pub(crate) const UNIT: u64 = 1 << 17;
/// Devices, signs, drugs and headings that look like names.
pub(crate) const NOT_NAME: u64 = 1 << 18;
/// `on`, `since`: a date may follow.
pub(crate) const WHEN: u64 = 1 << 19;
/// `on`, `since`: digits like `3/14` after it are a date.
pub(crate) const SINCE: u64 = 1 << 35;
/// A country or nationality.
pub(crate) const NATION: u64 = 1 << 20;
/// A facility known by one word: `UCSF`.
pub(crate) const KNOWN_FACILITY: u64 = 1 << 21;
/// `North`, `SW`.
pub(crate) const DIRECTION: u64 = 1 << 22;
/// `Apt`, `Suite`.
pub(crate) const DWELLING: u64 = 1 << 23;
/// `year`, `yo`: the number before it is an age when `old` or the like is near.
pub(crate) const AGE: u64 = 1 << 24;
/// `Monday`.
pub(crate) const WEEKDAY: u64 = 1 << 25;
/// `saint`, `mount`: a name of a place follows.
pub(crate) const SAINT: u64 = 1 << 26;
/// Words after `m/d` that make it a score or a dose: `strength`, `tablet`.
pub(crate) const RATIO: u64 = 1 << 27;
/// `of`, `and`: inside a facility's name.
pub(crate) const JOINER: u64 = 1 << 28;
/// `told`, `reviewed`: only a person does so.
pub(crate) const ACT: u64 = 1 << 29;
/// `contact`, `remind`: a person is likely to follow.
pub(crate) const CALL: u64 = 1 << 30;
/// `General`, `Memorial`: the end of a facility's name after `at`.
pub(crate) const WEAK_FACILITY: u64 = 1 << 31;
/// `Care`, `Group`: after the word for a facility.
pub(crate) const FACILITY_TAIL: u64 = 1 << 32;
/// `admitted`, `born`: what is done to people.
pub(crate) const DONE: u64 = 1 << 34;
/// `med`, `downtown`: in lower case inside a facility's name.
pub(crate) const FACILITY_INNER: u64 = 1 << 33;
/// A month in Spanish, French, German, Italian or Portuguese.
pub(crate) const MONTH_ABROAD: u64 = 1 << 50;
/// `spring`, `fall`: a date with a year after it.
pub(crate) const SEASON: u64 = 1 << 51;
/// `Christmas`, `Easter`, and the last words of other holidays: `day`, `eve`.
pub(crate) const HOLIDAY: u64 = 1 << 52;
/// A word of a number: `three`, `twentieth`.
pub(crate) const NUMERAL: u64 = 1 << 53;
/// `quarter`: a date between an ordinal and a year.
pub(crate) const QUARTER: u64 = 1 << 54;
/// `username`: the name of an account follows.
pub(crate) const LOGIN: u64 = 1 << 55;
/// `dot`: between the parts of an address that is spelled out.
pub(crate) const DOT: u64 = 1 << 56;
/// `nineties`, `octogenarian`: an age by its decade.
pub(crate) const DECADE: u64 = 1 << 57;

const LISTS: &[(u64, &str)] = &[
    (
        TITLE,
        "dr drs mr mrs ms miss mister mx prof professor doctor nurse rev reverend sir madam capt captain \
         sgt sergeant officer judge hon attorney detective deputy pastor rabbi imam dra sra srta \
         señor señora frau herr monsieur madame mme",
    ),
    (
        CREDENTIAL,
        "md do rn np pa pac phd dds dmd lpn lvn cna lcsw lmsw lmft lpc psyd pharmd dpt fnp aprn \
         arnp crna cnm mph facs facp facc msw msn bsn dnp cnp acnp agnp pmhnp rph rd otr ccc dvm \
         mbbs frcs frcp mba esq bcba emt ma rnc rrt crt scphn slp rdn lmhc ccrn cma rma rvt anp lmp rdh",
    ),
    (SUFFIX, "jr sr ii iii iv esq"),
    (
        PERSON,
        "patient pt client resident member veteran mother father mom dad mum mommy daddy wife \
         husband spouse partner daughter son sister brother sibling aunt uncle niece nephew cousin \
         grandmother grandfather grandma grandpa grandson granddaughter friend neighbor neighbour \
         caregiver guardian roommate boyfriend girlfriend fiance fiancee male female man woman boy \
         girl gentleman lady baby infant twin physician surgeon provider pcp attending hospitalist \
         therapist psychiatrist cardiologist oncologist neurologist pediatrician dentist \
         pharmacist midwife clinician practitioner counselor psychologist radiologist pathologist \
         consultant anesthesiologist assistant caseworker worker interpreter employee student \
         colleague intern fellow specialist coordinator manager child gma gpa gson gdtr gdaughter husb hubby nana nan gran \
         granny grandad granddad grammy papa abuela abuelo dtr bro nonna oma opa auntie tita tito stepson stepdaughter \
         stepfather stepmother teen teenager adult individual person user customer",
    ),
    (
        BY,
        "by named called name names morning afternoon evening dear attn signed per sincerely regards cc hi hello hey thanks says said \
         hola aka alias née nee",
    ),
    (
        WITH,
        "with for from to about like and versus saw met referencing regarding re see sees via treating managing \
         is or that when if has does did of in on",
    ),
    (
        CALL,
        "contact contacted paged notified told asked asking emailed texted ask tell remind \
         reminded inform informed notify schedule page thank congratulate invite email",
    ),
    (
        ACT,
        "told said says asked asks signed reviewed processed completed administered scheduled \
         graduated submitted prescribed wrote recommended explained mentioned thinks believes \
         remembers agreed declined denies denied reports reported complains complained endorses \
         states stated examined dictated ordered interviewed spoke speaks called calls helped \
         manages works worked lives lived presented requested approved confirmed assisted \
         contacted emailed arrived attended drove walked ate slept cried laughed smiled smokes \
         drinks takes wants wanted prefers needs feels felt has",
    ),
    (
        VERB,
        "reports reported states stated denies denied presents presented says said complains \
         complained underwent was is has had lives lived works worked called arrived visited \
         follows followed requested requests returns returned came comes went goes took takes \
         feels felt tells told asks asked wants wanted needs needed will would received receives \
         experienced experiences developed admits agreed agrees declined declines endorses \
         endorsed continues continued remains does did can could should who whose prefers signed \
         wrote writes recommended recommends ordered orders performed noted notes examined saw \
         sees discussed explained spoke mentioned thinks believes remembers fell calls",
    ),
    (
        MONTH,
        "january february march april may june july august september october november december \
         jan feb mar apr jun jul aug sep sept oct nov dec",
    ),
    (
        STATE,
        "alabama alaska arizona arkansas california colorado connecticut delaware florida georgia \
         hawaii idaho illinois indiana iowa kansas kentucky louisiana maine maryland massachusetts \
         michigan minnesota mississippi missouri montana nebraska nevada ohio oklahoma oregon \
         pennsylvania tennessee texas utah vermont virginia wisconsin wyoming al ak az ar ca co ct \
         de fl ga hi id il in ia ks ky la me md ma mi mn ms mo mt ne nv nh nj nm ny nc nd oh ok or \
         pa ri sc sd tn tx ut vt va wa wv wi wy dc pr",
    ),
    (
        STREET,
        "street st avenue ave boulevard blvd road rd lane ln drive dr court ct circle cir place pl \
         way terrace ter parkway pkwy highway hwy trail trl square sq loop alley aly plaza crescent \
         route pike turnpike tpke row crossing xing broadway expressway causeway",
    ),
    (
        FACILITY,
        "hospital hospitals hosp cntr clinic clinics center centre centers ctr infirmary hospice pharmacy \
         institute university college school academy church healthcare laboratories labs \
         laboratory sanatorium sanitarium polyclinic health",
    ),
    (
        GENERIC,
        "the a an our this that local same outside teaching academic tertiary emergency outpatient \
         inpatient medical health surgical surgery cancer heart care urgent primary pain wound \
         trauma rehab rehabilitation nursing skilled day eye sleep diabetes stroke imaging \
         endoscopy dialysis infusion dental mental behavioral public home family private acute \
         long term community general hospital clinic center centre high middle elementary medicine \
         ambulatory specialty multidisciplinary referral call contact detox treatment birth \
         birthing vein spine women's womens men's pediatric adult children hospitals clinics \
         department unit room ward grade law nursing graduate anticoagulation coumadin \
         walk-in transfer transplant poison control recovery wellness fertility research data \
         cost profit vaccination testing covid occupational student reproductive sexual global \
         electronic allied population digital bone oral gut brain my his her their your any each \
         large small major best national federal state level resource information service",
    ),
    (
        EPONYM_TAIL,
        "disease syndrome sign signs test tests palsy catheter procedure maneuver manoeuvre reflex \
         phenomenon fracture dementia lymphoma thyroiditis classification criteria scale score \
         index grade stage tube drain forceps retractor clamp needle suture sutures position law \
         point triad tetralogy anomaly contracture esophagus oesophagus sarcoma tumor tumour nodes \
         cells bodies node body duct disorder anemia ataxia chorea encephalopathy ulcer hernia \
         murmur breathing respirations stain gland ring tremor pouch operation repair approach \
         incision technique method solution bypass flap graft line valve stent hook pump knot \
         staging lesion spots cyst canal ganglion gait esophagitis nephropathy purpura vasculitis \
         granulomatosis arteritis malformation carcinoma cautery electrocautery rongeur elevator \
         blade trocar cannula stockinette dressing bandage splint brace collar view angle equation \
         formula rule scheme protocol trial diet virus bacillus factor antigen bundle fibers plot \
         curve curves device score's survey questionnaire inventory assay nevus neuroma chamber \
         paralysis ophthalmopathy orbitopathy hyperthyroidism swab smear pack agar medium manouver \
         reaction effect fever osteotomy resection amputation arthroplasty screw nail plate wire \
         pin cup traction frame spine oculomotor pupil pupils attack seizure seizures epilepsy \
         neuropathy myopathy cirrhosis hypothyroidism palsies tear cannulas count",
    ),
    (
        PARTICLE,
        "de la van der von del di da dos das bin ibn al el le du ten ter den abu st santa san mac y \
         della degli do bint ben",
    ),
    (PLACE, "in at from near to outside around lives resides born visiting toward via downtown"),
    (
        CONNECT,
        "is was are be number numbers no num nbr nr id ids identifier code of as the listed on \
         file assigned value ref reads a his her their under an # hash to ending starting using \
         with s",
    ),
    (NUMBER, "number numbers no num nbr nr id ids identifier code"),
    (
        UNIT,
        "mg mcg g kg ml l dl cc mm cm m meq mmol mmhg iu units unit tablets tablet tabs capsules \
         capsule puffs drops bpm beats breaths percent lb lbs oz inches in ft hours hrs hr h \
         minutes min mins seconds sec days day weeks week wks months month mos years year yrs \
         times fr french gauge ga degrees c f gy cgy msec ms hz khz mhz kcal cal joules mci ug ng \
         pg u k x doses dose people patients cases participants subjects women men mgdl mmoll",
    ),
    (
        NOT_NAME,
        "foley bovie kerrison hasson kocher mallampati apgar braden glasgow babinski romberg \
         lachman tinel phalen kernig brudzinski homans trendelenburg allis adson debakey \
         metzenbaum penrose hemovac veress weitlaner deaver yankauer tuohy dobhoff hickman \
         groshong broviac quinton tesio shiley bivona ambu macintosh betadine tegaderm xeroform \
         coban murphy mcburney rovsing psoas obturator hoffman hoffmann spurling hawkins neer \
         mcmurray drawer chvostek trousseau cushing addison graves hashimoto crohn wilson gilbert \
         alzheimer parkinson huntington hodgkin burkitt kaposi ewing wilms barrett bell raynaud \
         marfan down turner klinefelter rett tourette asperger guillain barre miller fisher \
         sjogren behcet takayasu kawasaki wegener goodpasture henoch schonlein osler weber rendu \
         lynch peutz jeghers gardner cowden chaddock oppenheim dupuytren colles monteggia \
         galeazzi jones lisfranc salter harris gram giemsa papanicolaou wright coombs schilling \
         schirmer weber rinne snellen ishihara goldmann hertel swan ganz jackson pratt blake \
         epley dix hallpike valsalva kussmaul cheyne biot starling frank nyha child pugh meld \
         gleason breslow clark fitzpatrick glascow morse norton likert beck hamilton zung \
         edinburgh montreal wechsler rorschach stanford binet doppler holter swanz zenker meckel \
         hirschsprung whipple nissen billroth roux heller hartmann lichtenstein bassini mohs \
         fontan norwood glenn blalock taussig ross ludwig vincent quincke stevens johnson lyme \
         ebola zika coxsackie epstein barr norwalk hanta west nile bordetella moraxella neisseria \
         escherichia salmonella shigella klebsiella candida christmas latin english spanish \
         hispanic caucasian asian medicare medicaid google chatgpt internet covid pap pus chest \
         lab labs exam plan impression assessment vitals allergies denies heart lungs abdomen \
         neuro skin general patient subjective objective diagnosis procedure findings history \
         medications signature kidney liver head neck back ill mass bun facebook twitter youtube iphone microsoft amazon netflix wikipedia uber zoom tylenol lortab \
         pfannenstiel berman munro midas nezhat dorsey jamar rey denny humphrey hemaseel kitner kittner \
         kling kerlix norco moro leiden bergen moya dermabond monocryl vicryl prolene surgicel gelfoam \
         bue ble lue rle lle rue npi dea nkda vicodin percocet lasix coreg norvasc zocor lipitor \
         plavix coumadin synthroid prozac zoloft paxil celexa ativan xanax valium ambien haldol \
         regular normal temp rate pulse blood alert oriented lower upper left right none son \
         summary discharge admission surgery follow return please note mild hope's prior status \
         post allergy social family review systems physical chief complaint present illness \
         dictated date time male female age sex race gender year old",
    ),
    (WHEN, "on since from until till by dated through thru to before after around between and in"),
    (
        SINCE,
        "mon tue tues wed thu thur thurs fri sat sun monday tuesday wednesday thursday friday saturday sunday on since until till by dated from through thru before after starting",
    ),
    (
        NATION,
        "america american usa us uk england scotland ireland wales france germany spain italy \
         portugal greece poland russia ukraine china japan korea india pakistan bangladesh nepal \
         mexico canada brazil argentina chile peru colombia venezuela ecuador bolivia cuba haiti \
         jamaica guatemala honduras nicaragua panama nigeria ghana kenya ethiopia egypt morocco \
         israel iran iraq syria lebanon turkey jordan vietnam thailand philippines indonesia \
         malaysia australia africa europe asia sweden norway denmark finland netherlands belgium \
         switzerland austria hungary romania bulgaria serbia croatia uganda rwanda congo somalia \
         sudan tanzania zimbabwe zambia sierra leone cameroon senegal mali afghanistan uruguay \
         paraguay german cuban mexican french italian irish scottish english british russian polish \
         chinese japanese korean indian vietnamese filipino nigerian haitian jamaican dominican \
         brazilian colombian canadian australian african asian european hispanic latino latina \
         caucasian arab jewish muslim christian catholic greek turkish iranian somali ethiopian \
         spanish portuguese dutch swedish norwegian danish puerto rican samoan hmong ukrainian",
    ),
    (
        KNOWN_FACILITY,
        "stanford bellevue cedars-sinai mskcc bidmc ucsf ucla nyu upmc mgh bidmc nyp chop hup uab uchealth ucsd mskcc ucla cedars langone \
         montefiore geisinger kaiser",
    ),
    (
        DIRECTION,
        "n s e w ne nw se sw north south east west northeast northwest southeast southwest",
    ),
    (DWELLING, "apt apartment suite ste unit floor fl room rm bldg building lot trailer #"),
    (AGE, "year years yr yrs yo y month months mo mos week weeks wk wks day days"),
    (WEEKDAY, "monday tuesday wednesday thursday friday saturday sunday"),
    (SAINT, "st saint mt mount san santa ste"),
    (
        RATIO,
        "strength systolic diastolic murmur pain tablet tab tablets tabs cup bottle scale severity \
         power muscle motor pulses reflexes edema grade hpf positive negative correct points score \
         out of normal saline ns teaspoon pack pint inch liter nodes cores objects items visits",
    ),
    (
        DONE,
        "admitted seen born diagnosed discharged referred brought treated accompanied evaluated \
         transferred hospitalized told asked married divorced retired employed interviewed \
         contacted prescribed rushed consulted counseled instructed informed a an not also",
    ),
    (
        WEAK_FACILITY,
        "general gen memorial med medical presbyterian methodist baptist regional clinics",
    ),
    (
        FACILITY_TAIL,
        "corp inc llc company corporation pavilion campus division county care system systems network group services partners campus associates trust foundation",
    ),
    (
        FACILITY_INNER,
        "med medical downtown general memorial community regional cancer childrens uptown",
    ),
    (JOINER, "of and for the at de la del & y in"),
];

/// The table of cues: one probe for most words.
#[derive(Debug)]
pub(crate) struct Cues {
    slots: Vec<(&'static str, u64)>,
}

/// Slots in the table: more than four for each word, so that most words meet an empty one.
const SLOTS: usize = 8192;
/// No cue is longer, so longer words need no probe.
const LONGEST: usize = 17;

impl Cues {
    /// Builds the table.
    pub(crate) fn new() -> Self {
        let mut cues = Self { slots: vec![("", 0); SLOTS] };
        for &(mask, words) in LISTS.iter().chain(super::date::CUES).chain(super::number::CUES) {
            for word in words.split_ascii_whitespace() {
                cues.insert(word, mask);
            }
        }
        cues
    }

    fn insert(&mut self, word: &'static str, mask: u64) {
        // INVARIANT: the table is far larger than the lists, so an empty slot is always near.
        let from = hash(word);
        for i in from..from + SLOTS {
            let Some(slot) = self.slots.get_mut(i % SLOTS) else { return };
            if slot.0.is_empty() || slot.0 == word {
                *slot = (word, slot.1 | mask);
                return;
            }
        }
    }

    /// What a word is a cue for, in any case of its letters.
    pub(crate) fn of(&self, word: &str) -> u64 {
        if word.len() > LONGEST {
            return 0;
        }
        let from = hash(word);
        for i in from..from + SLOTS {
            match self.slots.get(i % SLOTS) {
                Some((known, mask)) if !known.is_empty() => {
                    if known.eq_ignore_ascii_case(word) {
                        return *mask;
                    }
                }
                _ => return 0,
            }
        }
        0
    }
}

/// FNV-1a of the lower-case bytes.
fn hash(word: &str) -> usize {
    let mut h: u32 = 0x811c_9dc5;
    for b in word.bytes() {
        h = (h ^ u32::from(b.to_ascii_lowercase())).wrapping_mul(0x0100_0193);
    }
    (h ^ (h >> 15)) as usize
}
