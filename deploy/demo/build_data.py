"""Make the demo tables (deploy/demo/data/*.csv) out of the vega-datasets npm package.

    npm pack vega-datasets@3.2.1 && tar xzf vega-datasets-3.2.1.tgz
    python deploy/demo/build_data.py package deploy/demo/data

The same package gives the same bytes. SOURCES.md says where each table comes from and under which licence.
"""

import csv
import datetime as dt
import json
import statistics
import sys
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

Row = Mapping[str, Any]
Rows = Iterable[Row]

PACKAGE_VERSION = "3.2.1"
HERE = Path(__file__).parent

REGIONS = {
    "south_asia": "South Asia",
    "europe_central_asia": "Europe & Central Asia",
    "sub_saharan_africa": "Sub-Saharan Africa",
    "america": "Americas",
    "east_asia_pacific": "East Asia & Pacific",
    "middle_east_north_africa": "Middle East & North Africa",
}
"""The regions of one Gapminder table by their codes; the other table counts the same regions, in this order."""
SECTORS = {
    "mining_and_logging": "Mining & logging",
    "construction": "Construction",
    "manufacturing": "Manufacturing",
    "wholesale_trade": "Wholesale trade",
    "retail_trade": "Retail trade",
    "transportation_and_warehousing": "Transport & warehousing",
    "utilities": "Utilities",
    "information": "Information",
    "financial_activities": "Finance",
    "professional_and_business_services": "Business services",
    "education_and_health_services": "Education & health",
    "leisure_and_hospitality": "Leisure & hospitality",
    "other_services": "Other services",
    "government": "Government",
}
PLACES = {"CA": "California", "MX": "Mexico", "Burma": "Myanmar"}


class Package:
    """The unpacked npm package."""

    def __init__(self, folder: Path) -> None:
        """Refuse another version: its rows may differ."""
        self._folder = folder
        version = json.loads((folder / "package.json").read_text())["version"]
        if version != PACKAGE_VERSION:
            raise SystemExit(f"vega-datasets {PACKAGE_VERSION} is needed, this is {version}")

    def json(self, name: str) -> Any:
        """Return the content of data/<name>.json."""
        return json.loads((self._folder / f"data/{name}.json").read_text())

    def csv(self, file: str, delimiter: str = ",") -> list[dict[str, str]]:
        """Return the rows of data/<file>."""
        return _read_csv(self._folder / "data" / file, delimiter)


def weather(package: Package) -> Rows:
    """Daily weather of Seattle and New York, 2012 to 2015."""
    for row in package.csv("weather.csv"):
        yield {
            "city": row["location"],
            "date": row["date"],
            "year": row["date"][:4],
            "month": int(row["date"][5:7]),
            "kind": row["weather"],
            "temp_max": row["temp_max"],
            "temp_min": row["temp_min"],
            "precipitation": row["precipitation"],
            "wind": row["wind"],
        }


def seattle_normals(package: Package) -> Rows:
    """The hourly normals, averaged over the days of each month."""
    cells: dict[tuple[int, int], list[dict[str, str]]] = defaultdict(list)
    for row in package.csv("seattle-weather-hourly-normals.csv"):
        cells[int(row["date"][5:7]), int(row["date"][11:13])].append(row)
    for (month, hour), rows in sorted(cells.items()):
        means = {f: round(statistics.fmean(float(r[f]) for r in rows), 2) for f in ("temperature", "wind", "pressure")}
        yield {"month": month, "hour": hour, **means}


def co2(package: Package) -> Rows:
    """Monthly carbon dioxide at Mauna Loa."""
    for row in package.csv("co2-concentration.csv"):
        date = row["Date"]
        ppm = {"ppm": row["CO2"], "ppm_adjusted": row["adjusted CO2"]}
        yield {"date": date, "year": date[:4], "month": int(date[5:7]), **ppm}


def global_temperature(package: Package) -> Rows:
    """Yearly anomaly of the global mean temperature."""
    return ({"year": row["year"], "anomaly": row["temp"]} for row in package.csv("global-temp.csv"))


def iowa_electricity(package: Package) -> Rows:
    """Net generation by source; a thousand megawatt-hours are one gigawatt-hour."""
    for row in package.csv("iowa-electricity.csv"):
        yield {"year": row["year"][:4], "source": row["source"], "gwh": row["net_generation"]}


def earthquakes(package: Package) -> Rows:
    """One week of earthquakes; quarry blasts and explosions are left out."""
    features = [f for f in package.json("earthquakes")["features"] if f["properties"]["type"] == "earthquake"]
    for feature in sorted(features, key=lambda f: (f["properties"]["time"], f["id"])):
        properties, (longitude, latitude, depth) = feature["properties"], feature["geometry"]["coordinates"]
        time = dt.datetime.fromtimestamp(properties["time"] / 1000, dt.UTC)
        region = properties["place"].split(", ")[-1]
        if properties["mag"] is None:
            continue
        yield {
            "time": time.strftime("%Y-%m-%dT%H:%M:%S"),
            "day": time.strftime("%Y-%m-%d"),
            "magnitude": round(properties["mag"], 2),
            "depth_km": round(depth, 1),
            "longitude": round(longitude, 3),
            "latitude": round(latitude, 3),
            "region": PLACES.get(region, region),
            "place": properties["place"],
        }


def countries(package: Package) -> Rows:
    """One row for each country: people, income and life expectancy."""
    codes = _country_codes()
    for row in package.csv("gapminder-health-income.csv"):
        yield {
            "country": row["country"],
            "iso": codes[row["country"]],
            "region": REGIONS[row["region"]],
            "population": row["population"],
            "income": row["income"],
            "life_expectancy": row["health"],
        }


def country_history(package: Package) -> Rows:
    """62 countries every five years, 1955 to 2005."""
    codes = _country_codes()
    for row in package.json("gapminder"):
        yield {
            "country": row["country"],
            "iso": codes[row["country"]],
            "region": list(REGIONS.values())[row["cluster"]],
            "year": row["year"],
            "population": row["pop"],
            "life_expectancy": row["life_expect"],
            "fertility": row["fertility"],
        }


def flights(package: Package) -> Rows:
    """A random sample of 20,000 flights of the first quarter of 2001."""
    rows = package.json("flights-20k")
    for row in sorted(rows, key=lambda r: tuple(r.values())):
        departed = dt.datetime.strptime(row["date"], "%Y/%m/%d %H:%M")
        yield {
            "departed": departed.isoformat(),
            "day": departed.date().isoformat(),
            "weekday": departed.isoweekday(),
            "hour": departed.hour,
            "delay": row["delay"],
            "distance": row["distance"],
            "origin": row["origin"],
            "destination": row["destination"],
        }


def routes(package: Package) -> Rows:
    """Flights of each route in 2008."""
    for row in package.csv("flights-airport.csv"):
        yield {"origin": row["origin"], "destination": row["destination"], "flights": row["count"]}


def airports(package: Package) -> Rows:
    """The airports that a route or a flight names."""
    flown = {row[end] for row in [*routes(package), *flights(package)] for end in ("origin", "destination")}
    for row in package.csv("airports.csv"):
        if row["iata"] in flown:
            place = {"longitude": round(float(row["longitude"]), 4), "latitude": round(float(row["latitude"]), 4)}
            yield {"iata": row["iata"], "name": row["name"], "city": row["city"], "state": row["state"], **place}


def county_unemployment(package: Package) -> Rows:
    """Unemployment rate of each county in 2009, in percent, with the name of its state."""
    states = {int(row["id"]): row["state"] for row in package.csv("population_engineers_hurricanes.csv")}
    for row in package.csv("unemployment.tsv", delimiter="\t"):
        fips = int(row["id"])
        if fips // 1000 in states:
            yield {"fips": fips, "state": states[fips // 1000], "rate": round(float(row["rate"]) * 100, 1)}


def industry_unemployment(package: Package) -> Rows:
    """Unemployed people (thousands) and the unemployment rate of each industry, by month."""
    for row in package.json("unemployment-across-industries"):
        month = f"{row['year']}-{row['month']:02}-01"
        industry = row["series"][0] + row["series"][1:].lower().replace(" and ", " & ")
        measures = {"unemployed": row["count"], "rate": row["rate"]}
        yield {"month": month, "year": row["year"], "industry": industry, **measures}


def payrolls(package: Package) -> Rows:
    """Jobs (thousands) of the 14 sectors that add up to all non-farm jobs, by month."""
    for row in package.csv("us-employment.csv"):
        for column, sector in SECTORS.items():
            yield {"month": row["month"], "year": row["month"][:4], "sector": sector, "jobs": float(row[column])}


def penguins(package: Package) -> Rows:
    """Penguins of the Palmer Archipelago; an unknown measure is left empty."""
    for row in package.json("penguins"):
        yield {
            "species": row["Species"],
            "island": row["Island"],
            "sex": {"MALE": "male", "FEMALE": "female"}.get(row["Sex"] or ""),
            "bill_length": row["Beak Length (mm)"],
            "bill_depth": row["Beak Depth (mm)"],
            "flipper_length": row["Flipper Length (mm)"],
            "body_mass": row["Body Mass (g)"],
        }


def wildlife_strikes(package: Package) -> Rows:
    """10,000 reports of aircraft that hit an animal."""
    codes = {row["state"]: row["id"] for row in package.csv("population_engineers_hurricanes.csv")} | {"DC": "11"}
    for row in package.csv("birdstrikes.csv"):
        date = row["Flight Date"]
        damage = row["Effect Amount of damage"]
        yield {
            "date": date,
            "year": date[:4],
            "month": int(date[5:7]),
            "state": row["Origin State"],
            "fips": codes.get(row["Origin State"]),
            "phase": row["Phase of flight"].capitalize(),
            "size": row["Wildlife Size"],
            "species": row["Wildlife Species"],
            "time_of_day": row["Time of day"],
            "damage": damage if damage in ("None", "Minor", "Medium", "Substantial") else None,
            "cost": int(row["Cost Total $"] or 0),
        }


def wheat_prices(package: Package) -> Rows:
    """Playfair's prices and wages."""
    for row in package.json("wheat"):
        yield {"year": row["year"], "wheat": row["wheat"], "wages": row.get("wages")}


def antibiotics(package: Package) -> Rows:
    """Burtin's table, one row for each bacterium and drug."""
    for row in package.json("burtin"):
        for drug in ("Neomycin", "Penicillin", "Streptomycin"):
            yield {"bacterium": row["Bacteria"], "gram": row["Gram_Staining"], "antibiotic": drug, "mic": row[drug]}


TABLES: tuple[Callable[[Package], Rows], ...] = (
    weather, seattle_normals, co2, global_temperature, iowa_electricity, earthquakes, countries, country_history,
    flights, routes, airports, county_unemployment, industry_unemployment, payrolls, penguins, wildlife_strikes,
    wheat_prices, antibiotics,
)  # fmt: skip


def _country_codes() -> dict[str, str]:
    return {row["country"]: row["iso_numeric"] for row in _read_csv(HERE / "country_codes.csv")}


def _read_csv(path: Path, delimiter: str = ",") -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8-sig") as file:
        return list(csv.DictReader(file, delimiter=delimiter))


def _write_csv(path: Path, rows: list[Row]) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, fieldnames=list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


def main(package: Path, target: Path) -> None:
    """Write every table as <its function's name>.csv."""
    source = Package(package)
    for table in TABLES:
        _write_csv(target / f"{table.__name__}.csv", list(table(source)))


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
