"""The sentences that values are put into: (German, English), by the kind of phrase that fits.

`{x}` stands for the phrase and `{X}` for the phrase at the start of a sentence; ordinals bring their German
endings as `{xe}`, `{xen}`, `{xer}`, `{xes}`. A few frames hold two values, `{x}` and `{y}`.
"""

from __future__ import annotations

Frame = tuple[str, str]

FRAMES: dict[str, tuple[Frame, ...]] = {
    "number": (
        ("{X}", "{X}"),
        ("Die gesuchte Zahl ist {x}.", "The number we are looking for is {x}."),
        ("Das Ergebnis lautet {x}.", "The result is {x}."),
        ("Auf dem Zettel steht nur {x}.", "The note just says {x}."),
        ("Zählen Sie bitte bis {x}.", "Please count to {x}."),
        ("Im Kopf gerechnet ergibt das {x}.", "Worked out in your head, that makes {x}."),
        ("Der Zähler steht bei {x}.", "The counter stands at {x}."),
        ("Die richtige Antwort ist {x}.", "The right answer is {x}."),
    ),
    "number_even": (("{X} ist eine gerade Zahl.", "{X} is an even number."),),
    "number_odd": (("{X} ist eine ungerade Zahl.", "{X} is an odd number."),),
    "number_two": (
        ("Addieren Sie {x} und {y}.", "Add {x} and {y}."),
        ("Wie viel ist {x} mal {y}?", "What is {x} times {y}?"),
        ("Die Lösung liegt zwischen {x} und {y}.", "The solution lies between {x} and {y}."),
        ("{X} ist kleiner als {y}.", "{X} is less than {y}."),
        ("{Y} ist größer als {x}.", "{Y} is greater than {x}."),
    ),
    "to_figures": (
        ("In Ziffern: {x}", "In figures: {x}"),
        ("Bitte in Ziffern schreiben: {x}", "Please write in figures: {x}"),
        ("Als Zahl geschrieben: {x}", "Written as a number: {x}"),
    ),
    "to_words": (
        ("In Worten: {x}", "In words: {x}"),
        ("Bitte in Worten schreiben: {x}", "Please write in words: {x}"),
        ("Ausgeschrieben heißt das {x}.", "Written out, that is {x}."),
    ),
    "count": (
        ("Die Stadt hat {x} Einwohner.", "The city has {x} inhabitants."),
        ("Zum Konzert kamen {x} Besucher.", "{X} visitors came to the concert."),
        ("Im Lager liegen noch {x} Schrauben.", "There are still {x} screws in the warehouse."),
        ("Die Bibliothek besitzt {x} Bücher.", "The library owns {x} books."),
        ("Auf dem Server liegen {x} Dateien.", "There are {x} files on the server."),
        ("Der Verein hat {x} Mitglieder.", "The club has {x} members."),
        ("Im Wald stehen {x} Bäume.", "There are {x} trees in the forest."),
        ("Die Kandidatin erhielt {x} Stimmen.", "The candidate received {x} votes."),
        ("Das Werk baut {x} Fahrräder im Jahr.", "The factory builds {x} bicycles a year."),
        ("Gestern haben {x} Menschen die Seite besucht.", "Yesterday {x} people visited the page."),
        ("Die Bäckerei hat {x} Brötchen verkauft.", "The bakery sold {x} bread rolls."),
    ),
    "millions": (
        ("Rund {x} Menschen leben in der Region.", "About {x} people live in the region."),
        ("Die Sendung hatte {x} Zuschauer.", "The programme had {x} viewers."),
        ("Der Flughafen zählt {x} Fluggäste im Jahr.", "The airport counts {x} passengers a year."),
    ),
    "ordinal": (
        ("Das ist die {xe} Auflage des Buches.", "This is the {x} edition of the book."),
        ("Sie belegte den {xen} Platz.", "She finished in {x} place."),
        ("Wir haben es heute zum {xen} Mal versucht.", "Today we tried it for the {x} time."),
        ("Der {xe} Versuch gelang.", "The {x} attempt succeeded."),
        ("Die {xe} Besucherin bekam Blumen.", "The {x} visitor was given flowers."),
        ("Die Firma feiert heute ihr {xes} Jubiläum.", "The company is celebrating its {x} anniversary today."),
        ("Er fragte zum {xen} Mal nach dem Weg.", "He asked for directions for the {x} time."),
        ("Das war schon der {xe} Anruf heute.", "That was already the {x} call today."),
        ("Als {xer} Gast kam der Bürgermeister.", "The mayor was the {x} guest to arrive."),
    ),
    "ordinal_below_100": (
        ("Das Büro liegt im {xen} Stock.", "The office is on the {x} floor."),
        ("Mehr dazu steht im {xen} Kapitel.", "There is more about this in the {x} chapter."),
        ("Jede {xe} Schraube war locker.", "Every {x} screw was loose."),
    ),
    "century": (
        ("Die Kirche stammt aus dem {xen} Jahrhundert.", "The church dates from the {x} century."),
        ("Die Mode des {xen} Jahrhunderts war bunt.", "The fashion of the {x} century was colourful."),
    ),
    "when_past": (
        ("{X} reiste der Maler nach Italien.", "{X}, the painter travelled to Italy."),
        ("{X} brach im Hafen ein Feuer aus.", "{X}, a fire broke out in the harbour."),
        ("{X} begann der Bau der Kirche.", "{X}, construction of the church began."),
        ("Die Schule wurde {x} eröffnet.", "The school was opened {x}."),
        ("Sie wurde {x} in Bremen geboren.", "She was born in Bremen {x}."),
        ("Der Vertrag wurde {x} unterzeichnet.", "The treaty was signed {x}."),
        ("Der Dichter starb {x} in Wien.", "The poet died in Vienna {x}."),
        ("Die Familie zog {x} aufs Land.", "The family moved to the country {x}."),
        ("{X} regnete es viel.", "{X}, it rained a lot."),
    ),
    "when_future": (
        ("{X} wird die Brücke gesperrt.", "{X}, the bridge will be closed."),
        ("{X} beginnen die Arbeiten am Tunnel.", "{X}, work on the tunnel will begin."),
        ("Die Ausstellung wird {x} eröffnet.", "The exhibition will be opened {x}."),
        ("Wir werden {x} nach Köln umziehen.", "We will move to Cologne {x}."),
        ("Das neue Gesetz wird {x} in Kraft treten.", "The new law will come into force {x}."),
    ),
    "year_past": (
        ("Aus dem Jahr {x} ist wenig bekannt.", "Little is known about the year {x}."),
        ("Der Winter des Jahres {x} war streng.", "The winter of the year {x} was severe."),
        ("Das Dorf wird schon {x} erwähnt.", "The village is mentioned as early as {x}."),
    ),
    "year_future": (
        ("Das Ziel soll bis {x} erreicht werden.", "The target is to be reached by {x}."),
        ("Die Kosten für {x} sind noch unklar.", "The costs for {x} are still unclear."),
    ),
    "date_dative_past": (
        ("Ihr Brief vom {x} ist angekommen.", "Your letter of {x} has arrived."),
        ("Bis zum {x} war der Laden geschlossen.", "Until {x}, the shop was closed."),
        ("Die Regel gilt seit dem {x}.", "The rule has applied since {x}."),
        ("In der Ausgabe vom {x} stand nichts davon.", "There was nothing about it in the issue of {x}."),
    ),
    "date_dative_future": (
        ("Das Angebot gilt bis zum {x}.", "The offer is valid until {x}."),
        ("Ab dem {x} fährt hier ein Bus.", "From {x}, a bus will run here."),
        ("Vor dem {x} ist kein Termin frei.", "There is no appointment free before {x}."),
    ),
    "date_nominative_past": (
        ("Es war {x}.", "It was {x}."),
        ("Der letzte Tag der Reise war {x}.", "The last day of the journey was {x}."),
    ),
    "date_nominative_future": (
        ("Der nächste Termin ist {x}.", "The next appointment is {x}."),
        ("Stichtag ist {x}.", "The deadline is {x}."),
    ),
    "date_heading": (
        ("Datum: {x}", "Date: {x}"),
        ("Protokoll, {x}", "Minutes, {x}"),
    ),
    "range_past": (
        ("Der Markt dauerte {x}.", "The fair lasted {x}."),
        ("{X} war das Museum geschlossen.", "{X}, the museum was closed."),
    ),
    "range_future": (
        ("Die Praxis bleibt {x} geschlossen.", "The surgery will remain closed {x}."),
        ("{X} sind wir im Urlaub.", "{X}, we will be on holiday."),
    ),
    "day_of_year": (
        ("Unser Sommerfest ist immer {x}.", "Our party is always {x}."),
        ("Er hat {x} Geburtstag.", "His birthday is {x}."),
        ("{X} bleibt das Büro geschlossen.", "{X}, the office will remain closed."),
    ),
    "time_when": (
        ("Der Zug fährt {x} ab.", "The train leaves {x}."),
        ("Wir treffen uns {x} am Bahnhof.", "We are meeting at the station {x}."),
        ("Das Konzert beginnt {x}.", "The concert begins {x}."),
        ("{X} klingelte das Telefon.", "{X}, the telephone rang."),
        ("Bitte rufen Sie mich {x} zurück.", "Please call me back {x}."),
        ("Der Laden schließt {x}.", "The shop closes {x}."),
        ("Sie steht jeden Tag {x} auf.", "She gets up {x} every day."),
        ("{X} war noch niemand da.", "{X}, nobody was there yet."),
    ),
    "time_is": (
        ("Es ist {x}.", "It is {x}."),
        ("Es war schon {x}.", "It was already {x}."),
        ("Ich habe den Wecker auf {x} gestellt.", "I set the alarm for {x}."),
    ),
    "time_range": (
        ("Das Geschäft ist {x} geöffnet.", "The shop is open {x}."),
        ("Die Sitzung dauert {x}.", "The meeting lasts {x}."),
        ("{X} bin ich nicht erreichbar.", "{X}, I cannot be reached."),
    ),
    "amount": (
        ("Das kostet {x}.", "That costs {x}."),
        ("Ich hätte gern {x} in bar.", "I would like {x} in cash."),
        ("Die Rechnung beträgt {x}.", "The bill comes to {x}."),
        ("Sie hat {x} gespendet.", "She donated {x}."),
        ("Wir haben {x} für das Fahrrad bezahlt.", "We paid {x} for the bicycle."),
        ("Bitte überweisen Sie {x} bis Freitag.", "Please transfer {x} by Friday."),
        ("Er schuldet mir noch {x}.", "He still owes me {x}."),
        ("Der Preis stieg auf {x}.", "The price rose to {x}."),
    ),
    "amount_millions": (
        ("Das Unternehmen investiert {x} in das neue Werk.", "The company is investing {x} in the new factory."),
        ("Der Schaden wird auf {x} geschätzt.", "The damage is estimated at {x}."),
        ("Die Brücke hat {x} gekostet.", "The bridge cost {x}."),
    ),
    "distance": (
        ("Die Strecke ist {x} lang.", "The route is {x} long."),
        ("Wir sind heute {x} gewandert.", "We walked {x} today."),
        ("Das Dorf liegt {x} vom Meer entfernt.", "The village is {x} from the sea."),
    ),
    "height": (
        ("Der Turm ist {x} hoch.", "The tower is {x} high."),
        ("Die Schlucht ist {x} breit.", "The gorge is {x} wide."),
    ),
    "small_length": (
        ("Das Brett ist {x} breit.", "The board is {x} wide."),
        ("Die Pflanze ist {x} gewachsen.", "The plant has grown {x}."),
    ),
    "mass": (
        ("Das Paket wiegt {x}.", "The parcel weighs {x}."),
        ("Der Händler kaufte {x} Kaffee.", "The merchant bought {x} of coffee."),
    ),
    "small_mass": (
        ("Der Brief wiegt {x}.", "The letter weighs {x}."),
        ("Für den Teig brauchen wir {x} Mehl.", "We need {x} of flour for the dough."),
    ),
    "large_mass": (
        ("Der Lastwagen hat {x} Sand geladen.", "The lorry is carrying {x} of sand."),
        ("Der Kran hebt {x}.", "The crane lifts {x}."),
    ),
    "temperature": (
        ("Gestern waren es {x}.", "Yesterday it was {x}."),
        ("In der Nacht sank die Temperatur auf {x}.", "During the night the temperature fell to {x}."),
        ("Das Thermometer zeigt {x}.", "The thermometer shows {x}."),
    ),
    "volume": (
        ("Der Tank fasst {x}.", "The tank holds {x}."),
        ("Gießen Sie {x} Wasser dazu.", "Add {x} of water."),
        ("Wir haben {x} Milch gekauft.", "We bought {x} of milk."),
    ),
    "speed": (
        ("Der Wind erreichte {x}.", "The wind reached {x}."),
        ("Das Auto fuhr {x}.", "The car was going {x}."),
    ),
    "area": (
        ("Die Wohnung ist {x} groß.", "The flat is {x} in size."),
        ("Die Halle misst {x}.", "The hall measures {x}."),
    ),
    "land": (
        ("Der Hof bewirtschaftet {x}.", "The farm cultivates {x}."),
        ("Verbrannt sind {x} Wald.", "The fire burned {x} of forest."),
    ),
    "duration": (
        ("Der Flug dauert {x}.", "The flight takes {x}."),
        ("Wir mussten {x} warten.", "We had to wait {x}."),
        ("Er hat {x} geschlafen.", "He slept for {x}."),
    ),
    "long_duration": (
        ("Die Reise dauerte {x}.", "The journey took {x}."),
        ("Sie blieb {x} in Rom.", "She stayed in Rome for {x}."),
    ),
    "percent": (
        ("Der Umsatz stieg um {x}.", "Sales rose by {x}."),
        ("Die Miete steigt um {x}.", "The rent is rising by {x}."),
        ("Der Anteil beträgt {x}.", "The share is {x}."),
    ),
}
